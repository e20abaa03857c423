"""The data of a user in all packages: recent history, own items, profile; and how live events change it.

Pure functions over small lists: the same code builds the row in evaluation, in the stream and in serving.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from headrace.events import INTEREST_TYPES

MICROSECONDS_PER_DAY = 86_400_000_000


class HistoryEvent(NamedTuple):
    """One event of interest. Sorting by (timestamp, event_id) is the order of every history."""

    timestamp: int
    """Microseconds since 1970."""
    event_id: str
    item_id: str
    event_type: str


def merge_history(base: Iterable[HistoryEvent], live: Iterable[HistoryEvent], length: int) -> list[HistoryEvent]:
    """The last `length` events of both, oldest first, each event_id once, only events of interest.

    The result does not depend on the order of arrival, so that a replay has no effect.
    """
    by_id = {event.event_id: event for event in (*base, *live) if event.event_type in INTEREST_TYPES}
    return sorted(by_id.values())[-length:]


def profile_fingerprint(profile: Mapping[str, str]) -> str:
    """Text of 16 characters that another profile does not have."""
    return blake2b(json.dumps(sorted(profile.items())).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class OwnItems:
    """Items the user took before: parallel arrays, best decayed count first."""

    items: list[str] = field(default_factory=list)
    counts: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    decayed_counts: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    first_timestamps: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    last_timestamps: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass(frozen=True)
class UserRow:
    """The data of a user as of `as_of` (microseconds since 1970)."""

    user_id: str
    as_of: int
    history: list[HistoryEvent] = field(default_factory=list)
    own: OwnItems = field(default_factory=OwnItems)
    events_total: int = 0
    baskets_total: int = 0
    profile: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_known(self) -> bool:
        """Whether the user has an event of interest."""
        return bool(self.history)


def user_row(values: Mapping[str, Any], user_id: str, as_of: int) -> UserRow:
    """The row from the columns of `gold.user_features`, from any store; missing ones are empty."""
    return UserRow(
        user_id=user_id,
        as_of=as_of,
        history=[
            HistoryEvent(int(time), event_id, item, kind)
            for time, event_id, item, kind in zip(
                _list(values, "history_timestamps"),
                _list(values, "history_event_ids"),
                _list(values, "history_items"),
                _list(values, "history_types"),
                strict=True,
            )
        ],
        own=OwnItems(
            items=list(_list(values, "own_items")),
            counts=np.asarray(_list(values, "own_counts"), np.float32),
            decayed_counts=np.asarray(_list(values, "own_decayed_counts"), np.float32),
            first_timestamps=np.asarray(_list(values, "own_first_timestamps"), np.int64),
            last_timestamps=np.asarray(_list(values, "own_last_timestamps"), np.int64),
        ),
        events_total=int(values.get("events_total") or 0),
        baskets_total=int(values.get("baskets_total") or 0),
        profile=dict(zip(_list(values, "profile_keys"), _list(values, "profile_values"), strict=True)),
    )


def with_live_events(row: UserRow, live: Sequence[HistoryEvent], half_life_days: float, history_length: int) -> UserRow:
    """The row after `live` events: history, own items and totals as the next batch run would have them.

    Events at or before the row's `as_of`, or already in its history, only complete the history: the batch counted them.
    The new `as_of` is the newest event's time, and all decayed counts are halved for the days in between.
    """
    known = {event.event_id for event in row.history}
    fresh = sorted(
        event
        for event in {event.event_id: event for event in live}.values()
        if event.timestamp >= row.as_of and event.event_id not in known and event.event_type in INTEREST_TYPES
    )
    history = merge_history(row.history, live, history_length)
    if not fresh:
        return replace(row, history=history)
    as_of = max(row.as_of, fresh[-1].timestamp)
    return replace(
        row,
        as_of=as_of,
        history=history,
        own=_own_after(row, fresh, as_of, half_life_days),
        events_total=row.events_total + len(fresh),
        baskets_total=row.baskets_total + len({event.timestamp for event in fresh}),
    )


def _own_after(row: UserRow, fresh: list[HistoryEvent], as_of: int, half_life_days: float) -> OwnItems:
    def decay(since: int) -> float:
        return float(0.5 ** ((as_of - since) / MICROSECONDS_PER_DAY / half_life_days))

    occasions = sorted({(event.timestamp, event.item_id) for event in fresh})
    items = list(row.own.items)
    index_of = {item: index for index, item in enumerate(items)}
    for _, item in occasions:
        if item not in index_of:
            index_of[item] = len(items)
            items.append(item)
    added = len(items) - len(row.own.items)
    counts = np.concatenate([row.own.counts, np.zeros(added, np.float32)])
    decayed = np.concatenate([row.own.decayed_counts * decay(row.as_of), np.zeros(added)]).astype(np.float32)
    newest = np.iinfo(np.int64).max
    first = np.concatenate([row.own.first_timestamps, np.full(added, newest, np.int64)])
    last = np.concatenate([row.own.last_timestamps, np.zeros(added, np.int64)])
    for time, item in occasions:
        index = index_of[item]
        counts[index] += 1
        decayed[index] += decay(time)
        first[index] = min(first[index], time)
        last[index] = max(last[index], time)
    order = np.argsort(-decayed, kind="stable")
    return OwnItems([items[i] for i in order], counts[order], decayed[order], first[order], last[order])


def _list(values: Mapping[str, Any], name: str) -> Any:
    value = values.get(name)
    return [] if value is None else value
