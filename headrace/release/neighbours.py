"""Item-based collaborative filtering in a release: weights between items, and the scores they give for a user.

Pure NumPy. `models.neighbours.table` makes the weights; candidates, ranking features and reasons are read from here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

MOST_OWN_ITEMS = 300
"""Number of a user's own items, by weight, that are scored; the rest adds little and costs time."""
_DENSE_ITEMS = 1_000_000
"""Up to so many items, an array over the catalogue is cheaper than sorting the found items."""


@dataclass(frozen=True)
class Scores:
    """Scores of other items by a user's own items."""

    rows: Ints
    """Items with a weight from an own item, ascending."""
    values: Floats
    """Sum of weights over the own items, each weighted by the user; below 0 where they speak against it."""

    def of(self, candidates: Ints) -> Floats:
        """[candidates]: 0 where no own item has a weight for it."""
        if not len(self.rows):
            return np.zeros(len(candidates), np.float32)
        index = np.minimum(np.searchsorted(self.rows, candidates), len(self.rows) - 1)
        return np.where(self.rows[index] == candidates, self.values[index], np.float32(0))


@dataclass(frozen=True)
class Neighbours:
    """For each item its positive and negative weights to others, as rows of the catalogue."""

    starts: npt.NDArray[np.int64]
    """[items + 1]: the neighbours of item `row` are at `starts[row]` to `starts[row + 1]`."""
    rows: Ints
    weights: Floats
    """Not 0."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    def scores(self, own: Ints, own_weights: Floats) -> Scores:
        """Weighted sum of the `own` items' weights to all others."""
        own, own_weights = _heaviest(own, own_weights)
        places, lengths = self._places(own)
        found, values = self.rows[places], self.weights[places] * np.repeat(own_weights, lengths)
        if len(self) <= _DENSE_ITEMS:
            totals = np.bincount(found, values, minlength=len(self)).astype(np.float32)
            rows = np.flatnonzero(totals).astype(np.int32)
            return Scores(rows, totals[rows])
        rows, inverse = np.unique(found, return_inverse=True)
        return Scores(rows, np.bincount(inverse, values, minlength=len(rows)).astype(np.float32))

    def strongest(self, own: Ints, own_weights: Floats, candidates: Ints) -> Ints:
        """[candidates]: the own item with the largest weight for each candidate; -1 where none is above 0."""
        if not len(self.rows):
            return np.full(len(candidates), -1, np.int32)
        own, own_weights = _heaviest(own, own_weights)
        places, lengths = self._places(own)
        is_candidate = np.zeros(len(self), bool)
        is_candidate[candidates] = True
        wanted = np.flatnonzero(is_candidate[self.rows[places]] & (self.weights[places] > 0))
        rows, sources = self.rows[places[wanted]], np.repeat(own, lengths)[wanted]
        values = self.weights[places[wanted]] * np.repeat(own_weights, lengths)[wanted]
        order = np.lexsort((-sources, values))  # the last of each row, which is kept, is the strongest
        best = dict(zip(rows[order].tolist(), sources[order].tolist(), strict=True))
        return np.array([best.get(row, -1) for row in candidates.tolist()], np.int32)

    def _places(self, own: Ints) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Where the neighbours of all own items are, one item after the other, and how many each has."""
        if not len(self.rows):
            return np.zeros(0, np.int64), np.zeros(len(own), np.int64)
        begins = self.starts[own]
        lengths = self.starts[own + 1] - begins
        before = np.cumsum(lengths) - lengths
        return np.arange(lengths.sum()) + np.repeat(begins - before, lengths), lengths


def no_neighbours() -> Neighbours:
    """An empty table, for a catalogue without neighbours."""
    return Neighbours(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))


def own_weights(decayed_counts: Floats) -> Floats:
    """How much each own item of a user counts."""
    return np.log1p(decayed_counts)


def neighbours_of(table: pa.Table, items: int) -> Neighbours:
    """From the release's table: `item_row` ascending, `neighbour_row`, `weight`, one row per pair."""
    counts = np.bincount(table.column("item_row").to_numpy(), minlength=items)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    rows = table.column("neighbour_row").to_numpy().astype(np.int32, copy=False)
    return Neighbours(starts, rows, table.column("weight").to_numpy().astype(np.float32, copy=False))


def _heaviest(own: Ints, weights: Floats) -> tuple[Ints, Floats]:
    if len(own) <= MOST_OWN_ITEMS:
        return own, weights
    kept = np.argpartition(-weights, MOST_OWN_ITEMS)[:MOST_OWN_ITEMS]
    return own[kept], weights[kept]
