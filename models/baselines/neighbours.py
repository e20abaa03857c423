"""Neighbour models: items that the same users take, users that take the same items. Cosine over binary pairs."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import BaseModel, PositiveInt
from scipy import sparse

from models.baselines.interactions import Floats, Interactions, Rows
from models.baselines.interface import Baseline

_BLOCK = 1024


class ItemNeighboursConfig(BaseModel):
    neighbours: PositiveInt = 100
    """Of each item that could be shown, its so many most similar items count. Memory: 8 bytes each, times the items."""


class ItemNeighbours(Baseline):
    """Score of an item: the similarities of its nearest neighbours that the user took.

    Users count by the logarithm of how rare they are (a user of every item is not informative). Neighbours are cut for
    each item that could be shown, not for each that was taken: else popular items crowd out the others (Sarwar et al.
    2001).
    """

    name: ClassVar = "item k-NN"
    zero_is_unknown: ClassVar = True

    def __init__(self, config: ItemNeighboursConfig | None = None) -> None:
        self.config = config or ItemNeighboursConfig()

    def _learn(self, events: Interactions) -> None:
        self._neighbours = _nearest(by_item(events.taken), self.config.neighbours)

    def scores(self, users: Rows) -> Floats:
        """See the interface."""
        return (self.events.taken[users] @ self._neighbours.T).toarray()


class UserNeighboursConfig(BaseModel):
    neighbours: PositiveInt = 200
    """Number of most similar users that an item is scored by. Memory: 8 bytes each, times the users."""


class UserNeighbours(Baseline):
    """Score of an item: the similarities of the user's nearest neighbours that took it. Items count by their rarity."""

    name: ClassVar = "user k-NN"
    zero_is_unknown: ClassVar = True

    def __init__(self, config: UserNeighboursConfig | None = None) -> None:
        self.config = config or UserNeighboursConfig()

    def _learn(self, events: Interactions) -> None:
        self._neighbours = _nearest(by_user(events.taken), self.config.neighbours)

    def scores(self, users: Rows) -> Floats:
        """See the interface."""
        return (self._neighbours[users] @ self.events.taken).toarray()


def by_item(taken: sparse.csr_matrix) -> sparse.csr_matrix:
    """[items, users] of `taken` [users, items], rows of length 1: a user counts by the logarithm of how rare it is."""
    rarity = np.log(1 + taken.shape[1] / np.maximum(np.diff(taken.indptr), 1))
    return unit_rows((sparse.diags(rarity.astype(np.float32)) @ taken).T.tocsr())


def by_user(taken: sparse.csr_matrix) -> sparse.csr_matrix:
    """[users, items] of `taken`, rows of length 1: an item counts by the logarithm of how rare it is."""
    users_of_item = np.bincount(taken.indices, minlength=taken.shape[1])
    rarity = np.log(1 + taken.shape[0] / np.maximum(users_of_item, 1))
    return unit_rows(taken @ sparse.diags(rarity.astype(np.float32)))


def unit_rows(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """The matrix with rows of length 1; empty rows are unchanged."""
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return (sparse.diags(scale.astype(np.float32)) @ matrix).tocsr()


def _nearest(unit: sparse.csr_matrix, neighbours: int) -> sparse.csr_matrix:
    """[rows, rows]: cosine of each row's nearest others; 0 for itself."""
    transposed = unit.T.tocsr()
    parts = []
    for start in range(0, unit.shape[0], _BLOCK):
        block = (unit[start : start + _BLOCK] @ transposed).tocsr()
        kept_columns, kept_values, counts = [], [], []
        for row in range(block.shape[0]):
            cells = slice(block.indptr[row], block.indptr[row + 1])
            columns, values = block.indices[cells], block.data[cells]
            others = columns != start + row
            columns, values = columns[others], values[others]
            if len(values) > neighbours:
                best = np.argpartition(-values, neighbours - 1)[:neighbours]
                columns, values = columns[best], values[best]
            kept_columns.append(columns)
            kept_values.append(values)
            counts.append(len(values))
        pointers = np.append(0, np.cumsum(counts))
        cut = (np.concatenate(kept_values), np.concatenate(kept_columns), pointers)
        parts.append(sparse.csr_matrix(cut, shape=(block.shape[0], unit.shape[0])))
    return sparse.vstack(parts, format="csr")
