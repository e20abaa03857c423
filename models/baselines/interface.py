"""Interface of the baselines: fit on events, score items for users, make lists."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from models.baselines.interactions import Floats, Interactions, Rows
from models.metrics.ranking import NO_ITEM

POPULAR_DAYS = 28.0
"""The popular list, which fills what a model leaves open, counts distinct users of so many days."""
_BLOCK_CELLS = 16_000_000
"""Scores held at a time, 4 bytes each; lists need about three times that."""
_SAMPLED = 16
"""One item in so many is sampled to estimate the score at which a list ends."""


class Baseline(ABC):
    """One model. Users and items are the numbers of the events it was fitted on."""

    name: ClassVar[str]
    """As tables show it."""
    zero_is_unknown: ClassVar[bool] = False
    """Items scored 0 or less are not ranked by the model, but follow by popularity."""

    def fit(self, events: Interactions) -> Self:
        """Fit on `events`; returns itself. Fitting again discards the previous fit."""
        self.events = events
        recent, ever = events.users_within(POPULAR_DAYS), np.diff(events.taken.tocsc().indptr)
        self._popular: Rows = np.lexsort([np.arange(len(ever)), -ever, -recent])
        self._learn(events)
        return self

    @abstractmethod
    def _learn(self, events: Interactions) -> None:
        """Compute and store what `scores` needs."""

    @abstractmethod
    def scores(self, users: Rows) -> Floats:
        """[users, items] float32: larger is better; comparable within a row only."""

    def top(self, users: Rows, k: int, exclude: sparse.csr_matrix | None = None) -> npt.NDArray[np.int32]:
        """[users, k] item numbers, best first, `NO_ITEM` where the catalogue ends; a tie goes to the lower number.

        `exclude` [users, items]: items that are not zero in a user's row do not appear. A number of −1 in `users` is
        an unknown user, who gets the popular list, as do all users without an event.
        """
        items = self.events.shape[1]
        lists = np.full((len(users), k), NO_ITEM, np.int32)
        size = max(1, _BLOCK_CELLS // items)
        history = np.append(np.diff(self.events.taken.indptr), 0)  # the last position is that of −1
        for start in range(0, len(users), size):
            block = users[start : start + size]
            hidden = None if exclude is None else exclude[start : start + size]
            known = np.flatnonzero(history[block] > 0)
            if len(known):
                values = self.scores(block[known]).astype(np.float32, copy=False)
                without = None if hidden is None else hidden[known]
                lists[start + known] = _best(values, k, without, self.zero_is_unknown)
            for row in np.flatnonzero(lists[start : start + len(block), -1] == NO_ITEM):
                without_row = np.zeros(0, np.int64) if hidden is None else hidden[int(row)].indices
                _fill(lists[start + row], self._popular, without_row)
        return lists


def _best(values: Floats, k: int, exclude: sparse.csr_matrix | None, zero_is_unknown: bool) -> npt.NDArray[np.int32]:
    """[rows, k]; overwrites `values`."""
    np.nan_to_num(values, copy=False, nan=-np.inf, neginf=-np.inf)
    if zero_is_unknown:
        values[values <= 0] = -np.inf
    if exclude is not None:
        pairs = exclude.tocoo()
        values[pairs.row, pairs.col] = -np.inf
    return best_of_each_row(values, k)


def best_of_each_row(values: Floats, k: int) -> npt.NDArray[np.int32]:
    """[rows, k] columns of the largest values, best first, `NO_ITEM` past the last that is above −inf."""
    lists = np.full((len(values), k), NO_ITEM, np.int32)
    floor = _floors(values, k) if values.shape[1] > k else np.full(len(values), -np.inf, np.float32)
    for row, (of_row, least) in enumerate(zip(values, floor, strict=True)):
        columns = np.flatnonzero(of_row >= least) if np.isfinite(least) else np.flatnonzero(of_row > -np.inf)
        chosen = columns[np.argsort(-of_row[columns], kind="stable")[:k]]
        lists[row, : len(chosen)] = chosen
    return lists


def _floors(values: Floats, k: int) -> Floats:
    """[rows]: a value that at least `k` of each row reach, usually few more: guessed by a sample, then counted."""
    rank = k // _SAMPLED * 3 // 2 + 10
    sample = values[:, ::_SAMPLED]
    if sample.shape[1] < 2 * rank:
        return _kth_largest(values, k)
    floor = _kth_largest(sample, rank)
    few = np.flatnonzero(np.count_nonzero(values >= floor[:, None], axis=1) < k)
    floor[few] = _kth_largest(values[few], k)
    return floor


def _kth_largest(values: Floats, k: int) -> Floats:
    """[rows]. By the smallest of the negated: NumPy is twenty times slower at the other end where most are −inf."""
    return -np.partition(-values, k - 1, axis=1)[:, k - 1]


def _fill(row: npt.NDArray[np.int32], popular: Rows, hidden: npt.NDArray[np.integer[Any]]) -> None:
    """Put popular items that are neither in the list nor hidden into its empty positions, which are the last."""
    filled = int((row != NO_ITEM).sum())
    leading = popular[: len(row) + len(hidden)]
    others = leading[~np.isin(leading, np.concatenate([row[:filled], hidden]))][: len(row) - filled]
    row[filled : filled + len(others)] = others
