"""Why an item is in the list: a sentence per item, each true by the user's row and the release.

The own count of an item mixes all kinds of interest; only the last events carry their kind. A sentence therefore names
a kind ("bought") only where the history shows it, or where the release knows no other kind of interest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from headrace.events import INTEREST_TYPES, EventType
from headrace.features.own_items import OwnItemFeatures
from headrace.features.ranking import Source
from headrace.features.user_row import HistoryEvent, UserRow
from headrace.release.catalogue import Catalogue
from headrace.release.neighbours import own_weights

Rows = npt.NDArray[np.int32]

_DONE: dict[str, str] = {
    EventType.PURCHASE: "bought {}",
    EventType.VIEW: "viewed {}",
    EventType.CLICK: "looked at {}",
    EventType.ADD_TO_CART: "put {} in your cart",
    EventType.RATING: "rated {}",
    EventType.LIKE: "liked {}",
}
_Seen = tuple[str | None, dict[str, set[int]]]
"""What the history shows of one item: the kind of its newest event, and the times of each kind."""
_NEVER: _Seen = (None, {})
_LIST_FILLED = "From the catalogue"
_RISING = "Trending now"
_TOWER, _CATEGORY, _POPULAR = int(Source.TOWER), int(Source.CATEGORY), int(Source.POPULAR)
_NEIGHBOURS, _TRENDING = int(Source.NEIGHBOURS), int(Source.TRENDING)


class Reasons:
    """Sentences over one release."""

    def __init__(self, catalogue: Catalogue, popularity_days: int) -> None:
        self._catalogue = catalogue
        self.popular = f"Popular {_window(popularity_days)}"
        known = [EventType(value) for value in catalogue.vocabularies["event_types"] if value in INTEREST_TYPES]
        self._only_type = known[0] if len(known) == 1 else None
        """The one kind of interest that the batch side ever saw, if there is only one."""

    def for_user(self, user: UserRow, own: OwnItemFeatures, rows: Rows, sources: Rows) -> list[str]:
        """One sentence per row, for a list made by the candidate sources of `user`."""
        counts = dict(zip(own.rows.tolist(), own.counts.tolist(), strict=True))
        item_ids = [self._catalogue.item_ids[row] for row in rows.tolist()]
        seen = _by_item(user.history, set(item_ids))
        new = np.array([row not in counts for row in rows.tolist()], bool)
        causes = self._neighbours(user.history, own, rows[new & ((sources & _NEIGHBOURS) > 0)])
        by_vector = new & ((sources & _TOWER) > 0) & ~np.isin(rows, np.fromiter(causes, np.int32))
        nearest = self._nearest_in_history(user.history, rows[by_vector])
        causes |= dict(zip(rows[by_vector].tolist(), nearest, strict=True))
        return [
            self._own(seen.get(item, _NEVER), round(counts[row]))
            if row in counts
            else self._other(row, source, causes.get(row))
            for item, row, source in zip(item_ids, rows.tolist(), sources.tolist(), strict=True)
        ]

    def related(self, item_row: int, number: int) -> list[str]:
        """The sentence of every item of a list of items related to `item_row`."""
        return [f"Similar to {self._title(item_row)}"] * number

    def _own(self, seen: _Seen, count: int) -> str:
        newest, occasions = seen
        if self._only_type is not None:
            others = sum(len(times) for kind, times in occasions.items() if kind != self._only_type)
            count = max(count - others, len(occasions.get(self._only_type, ())))
        if newest is None or newest == self._only_type:
            return f"{_done(self._only_type) if self._only_type else 'In your history'}{_times(count)}"
        lately = len(occasions[newest])
        if lately > 1:
            return f"{_done(newest)} {lately} times lately"
        if self._only_type is not None and count > 0:
            return f"{_done(newest)}, and {_DONE[self._only_type].format('it')}{_times(count)}"
        return f"{_done(newest)} before" if newest == EventType.PURCHASE else _done(newest)

    def _other(self, row: int, sources: int, nearest: HistoryEvent | None) -> str:
        if nearest is not None:
            title = self._title(self._catalogue.row_of[nearest.item_id])
            return f"Because you {_DONE[nearest.event_type].format(title)}"
        if sources & _CATEGORY and (category := self._catalogue.value("category_1", row)):
            return f"Popular in {category}"
        if sources & _TRENDING:
            return _RISING
        return self.popular if sources & _POPULAR else _LIST_FILLED

    def _neighbours(
        self, history: Sequence[HistoryEvent], own: OwnItemFeatures, rows: Rows
    ) -> dict[int, HistoryEvent | None]:
        """Per row the history's newest event with the own item that says most for it; rows without one are left out."""
        if not len(rows):
            return {}
        strongest = self._catalogue.neighbours.strongest(own.rows, own_weights(own.decayed_counts), rows)
        newest = {event.item_id: event for event in history}
        return {
            row: event
            for row, cause in zip(rows.tolist(), strongest.tolist(), strict=True)
            if cause >= 0 and (event := newest.get(self._catalogue.item_ids[cause]))
        }

    def _nearest_in_history(self, history: Sequence[HistoryEvent], rows: Rows) -> Iterator[HistoryEvent | None]:
        """Per row the history's event whose item vector is nearest by cosine; None where none points its way."""
        past = {self._catalogue.row_of.get(event.item_id, -1): event for event in history}
        past.pop(-1, None)
        if not past or not len(rows):
            return iter([None] * len(rows))
        events = list(past.values())
        cosines = unit_vectors(self._catalogue, rows) @ unit_vectors(self._catalogue, np.fromiter(past, np.int32)).T
        best, alike = cosines.argmax(axis=1), cosines.max(axis=1) > 0
        return (events[place] if near else None for place, near in zip(best.tolist(), alike.tolist(), strict=True))

    def _title(self, row: int) -> str:
        return self._catalogue.titles[row] or self._catalogue.item_ids[row]


def _by_item(history: Sequence[HistoryEvent], items: set[str]) -> dict[str, _Seen]:
    found: dict[str, _Seen] = {}
    for event in history:
        if event.item_id in items:
            occasions = found.get(event.item_id, (None, {}))[1]
            occasions.setdefault(event.event_type, set()).add(event.timestamp)
            found[event.item_id] = (event.event_type, occasions)
    return found


def unit_vectors(catalogue: Catalogue, rows: Rows) -> npt.NDArray[np.float32]:
    """Item vectors of length 1, [rows, embedding_size - 1]: without the popularity prior."""
    vectors = catalogue.embeddings[rows][:, :-1]
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return np.asarray(vectors / np.maximum(lengths, 1e-9)[:, None], np.float32)


def _done(kind: str) -> str:
    return f"You {_DONE[kind].format('this')}"


def _times(count: int) -> str:
    return f" {count} times" if count > 1 else " before"


def _window(days: int) -> str:
    if 28 <= days <= 31:
        return "this month"
    return "this week" if days == 7 else f"in the last {days} days"
