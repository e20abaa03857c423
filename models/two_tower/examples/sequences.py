"""Users' sequences as flat columns, and the occasions in them that are the targets of training.

An occasion is everything one user took at one time (a basket). All its items share one history, the events strictly
before it, so the user tower runs once per occasion instead of once per item.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.features.user_row import MICROSECONDS_PER_DAY
from headrace.features.user_tower import moment_codes

Ints = npt.NDArray[np.int32]
Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Batch = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Sequences:
    """Events of all users, one after the other, oldest first within a user."""

    items: Ints
    """Item row + 1; 0 = an item that is not in the catalogue."""
    types: Ints
    times: npt.NDArray[np.int64]
    """Microseconds since 1970."""
    starts: npt.NDArray[np.int64]
    """[users + 1]: user u owns the events from starts[u] to starts[u + 1]."""
    first_target: npt.NDArray[np.int64]
    """[users]: index of the first event inside the training window; earlier ones are history only."""
    profile: Ints
    """[users, profile keys]; the columns of the moment, where the tower reads it, are left to the occasions."""


@dataclass(frozen=True)
class Occasions:
    """Prediction targets: occasion o has its events from begin[o] to end[o] in the sequences."""

    begin: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    user: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.begin)

    def between(self, begin: int, end: int) -> Occasions:
        """Those at or after `begin` and before `end` (microseconds since 1970)."""
        return self[(self.times >= begin) & (self.times < end)]

    def __getitem__(self, chosen: npt.NDArray[Any]) -> Occasions:
        return Occasions(self.begin[chosen], self.end[chosen], self.user[chosen], self.times[chosen])


def read_sequences(
    table: pa.Table, item_ids: Sequence[str], vocabularies: Mapping[str, Sequence[str]], profile: Ints
) -> Sequences:
    """Rows of `gold.retrieval_examples` as flat columns."""
    events = table.column("items").combine_chunks()
    if isinstance(events, pa.ChunkedArray):
        events = pa.concat_arrays(events.chunks)
    lengths = pc.list_value_length(events).to_numpy(zero_copy_only=False).astype(np.int64)
    return Sequences(
        items=_codes(_flat(table, "items"), item_ids),
        types=_codes(_flat(table, "types"), vocabularies["event_types"]),
        times=_flat(table, "timestamps").to_numpy(zero_copy_only=False).astype(np.int64),
        starts=np.concatenate([[0], np.cumsum(lengths)]),
        first_target=table.column("first_target").to_numpy().astype(np.int64),
        profile=profile,
    )


def find_occasions(sequences: Sequences) -> Occasions:
    """All occasions inside the training window that have a history, in order of the sequences."""
    users = len(sequences.starts) - 1
    user = np.repeat(np.arange(users), np.diff(sequences.starts))
    changed = (np.diff(user) != 0) | (np.diff(sequences.times) != 0)
    begin = np.concatenate([[0], np.flatnonzero(changed) + 1]).astype(np.int64)
    end = np.append(begin[1:], len(user))
    owner = user[begin]
    index = begin - sequences.starts[owner]
    wanted = (index > 0) & (index >= sequences.first_target[owner])
    return Occasions(begin, end, owner, sequences.times[begin])[wanted]


def in_another_order(sequences: Sequences, until: int, random: np.random.Generator) -> Sequences:
    """The same events, but those of each user before `until` (microseconds since 1970) have changed their moments."""
    user = np.repeat(np.arange(len(sequences.starts) - 1), np.diff(sequences.starts))
    later = sequences.times >= until
    order = np.lexsort([np.where(later, np.arange(len(user)), random.random(len(user))), later, user])
    return replace(sequences, items=sequences.items[order], types=sequences.types[order])


@dataclass(frozen=True)
class ExampleCutter:
    """Cuts training batches out of sequences, only when they are needed."""

    history_length: int
    half_life_days: float
    """Half-life of an example's weight, in days before `as_of`."""
    repeat_weight: float
    """Weight of an item that the user took before, against 1 of a new one."""
    reads_moment: bool = False
    """The last columns of `profile` are the hour and the weekday of the newest event."""
    type_weights: tuple[float, ...] = ()
    """What an event of each type's code counts for as a target; none: all count alike."""
    occasion_columns: ClassVar[tuple[str, ...]] = ()
    """Names of a batch's arrays besides histories and targets: where in them the occasions are."""

    def plan(self, occasions: Occasions, batch_size: int, random: np.random.Generator) -> list[Indices]:
        """Which occasions make each batch of about `batch_size` examples, in random order."""
        order = random.permutation(len(occasions))
        sizes = np.cumsum((occasions.end - occasions.begin)[order])
        cuts = np.searchsorted(sizes, np.arange(batch_size, sizes[-1] if len(sizes) else 0, batch_size)) + 1
        return [part for part in np.split(order, np.unique(cuts)) if len(part)]

    def batches(
        self, sequences: Sequences, occasions: Occasions, plan: Sequence[Indices], as_of: int
    ) -> Iterator[Batch]:
        """The batches of a plan."""
        known_since = _first_events(sequences) if plan and self.repeat_weight != 1 else None
        for part in plan:
            yield self._batch(sequences, occasions[part], as_of, known_since)

    def history(self, sequences: Sequences, occasions: Occasions) -> Batch:
        """The user tower's inputs of each occasion: the newest `history_length` events strictly before it."""
        index = occasions.begin[:, None] - 1 - np.arange(self.history_length)
        inside = index >= sequences.starts[occasions.user][:, None]
        index = np.where(inside, index, 0)
        newest = sequences.times[occasions.begin - 1][:, None]
        return {
            "history_items": np.where(inside, sequences.items[index], 0).astype(np.int32),
            "history_types": np.where(inside, sequences.types[index], 0).astype(np.int32),
            "history_ages": np.where(inside, (newest - sequences.times[index]) / MICROSECONDS_PER_DAY, 0).astype(
                np.float32
            ),
            "profile": self._profile(sequences, occasions),
        }

    def _profile(self, sequences: Sequences, occasions: Occasions) -> Ints:
        """[occasions, profile keys]"""
        profile = sequences.profile[occasions.user]
        if self.reads_moment:
            moments = moment_codes(sequences.times[occasions.begin - 1])
            profile[:, -moments.shape[1] :] = moments
        return profile

    def _batch(
        self, sequences: Sequences, occasions: Occasions, as_of: int, known_since: npt.NDArray[np.int64] | None
    ) -> Batch:
        sizes = occasions.end - occasions.begin
        occasion = np.repeat(np.arange(len(occasions)), sizes)
        offset = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        index = occasions.begin[occasion] + offset
        item = sequences.items[index]
        pair = occasion * (int(item.max(initial=0)) + 1) + item
        kind = self._weights_by_type(sequences.types[index], pair) if self.type_weights else np.ones(len(pair))
        once = np.unique(pair, return_index=True)[1]
        once = np.sort(once[item[once] > 0])  # one example per item and occasion, known items only
        index, occasion, item = index[once], occasion[once], item[once]
        age_days = (as_of - occasions.times[occasion]) / MICROSECONDS_PER_DAY
        weight = kind[once] * 0.5 ** (age_days / self.half_life_days)
        if known_since is not None:
            weight *= np.where(known_since[index] < occasions.begin[occasion], self.repeat_weight, 1.0)
        return {
            **self.history(sequences, occasions),
            "target_items": item.astype(np.int32),
            "target_occasions": occasion.astype(np.int32),
            "target_weights": weight.astype(np.float32),
        }

    def _weights_by_type(self, types: Ints, pair: Indices) -> npt.NDArray[np.float64]:
        """[events]: the largest weight among the events of each one's pair of occasion and item."""
        copy = np.unique(pair, return_inverse=True)[1]
        largest = np.zeros(len(pair))
        np.maximum.at(largest, copy, np.array(self.type_weights)[types])
        return largest[copy]


def _first_events(sequences: Sequences) -> npt.NDArray[np.int64]:
    """[events]: index of the first event in which the same user took the same item."""
    user = np.repeat(np.arange(len(sequences.starts) - 1), np.diff(sequences.starts))
    pair = user * (int(sequences.items.max(initial=0)) + 1) + sequences.items
    _, first, inverse = np.unique(pair, return_index=True, return_inverse=True)
    return first[inverse]


def _flat(table: pa.Table, name: str) -> pa.Array:
    flat = pc.list_flatten(table.column(name))
    return flat.combine_chunks() if isinstance(flat, pa.ChunkedArray) else flat


def _codes(values: pa.Array, vocabulary: Sequence[str]) -> Ints:
    """Index in the vocabulary + 1; 0 for values that are not in it."""
    indices = pc.index_in(values, value_set=pa.array(vocabulary, pa.string()))
    return pc.fill_null(indices, -1).to_numpy(zero_copy_only=False).astype(np.int32) + 1
