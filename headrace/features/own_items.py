"""The user's part of the ranker's features: statistics of the own items and of their kinds (`category_3`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.features.user_row import MICROSECONDS_PER_DAY, UserRow
from headrace.release.catalogue import Catalogue
from headrace.release.neighbours import Scores, own_weights

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Times = npt.NDArray[np.int64]

SHARE_LEVELS = ("category_1", "category_2", "category_3", "brand", "maker")
KIND = "category_3"
"""Items of one kind are substitutes."""
_LONGEST_DUE = 5.0
_WEEK = 7.0


@dataclass(frozen=True)
class OwnItemFeatures:
    """A user's own items that are in the release, by row number in ascending order."""

    rows: Ints
    counts: Floats
    decayed_counts: Floats
    of_items: Floats
    """[own items, 9]: the first of `ranking_features.NUMERIC`, `own_count` to `own_replaced`."""
    of_kinds: Floats
    """[codes of `KIND`, 4]: `kind_count` to `kind_due`; zeros for kinds without own items."""
    shares: dict[str, Floats]
    """Per level of `SHARE_LEVELS`: share of the user's decayed counts by code."""
    days_since_last: float
    """Days since the user's last occasion; 0 if there is none."""
    usual_price: float
    """Mean log1p price of the own items, weighted by decayed count; NaN if none is known."""
    neighbours: Scores
    """Neighbour scores of all items."""


@dataclass(frozen=True)
class _Occasions:
    """Number and times of occasions: parallel arrays."""

    counts: Floats
    first: Times
    last: Times

    def days_since(self, as_of: int) -> Floats:
        return (np.maximum(as_of - self.last, 0) / MICROSECONDS_PER_DAY).astype(np.float32)

    def gaps(self) -> Floats:
        """Usual days from one time to the next; 0 for a single one."""
        days = (self.last - self.first) / MICROSECONDS_PER_DAY / np.maximum(self.counts - 1, 1)
        return np.where(self.counts > 1, days, 0.0).astype(np.float32)

    def due(self, as_of: int) -> Floats:
        """Days since the last time over the usual gap; 0 where no gap is known."""
        gaps = self.gaps()
        due = np.where(gaps > 0, self.days_since(as_of) / np.maximum(gaps, 0.5), 0.0)
        return np.clip(due, 0, _LONGEST_DUE).astype(np.float32)


def own_item_features(user: UserRow, catalogue: Catalogue) -> OwnItemFeatures:
    """The user's data that the candidates' features need."""
    all_rows = catalogue.rows(user.own.items)
    known = np.flatnonzero(all_rows >= 0)
    order = known[np.argsort(all_rows[known], kind="stable")]
    rows, decayed = all_rows[order], user.own.decayed_counts[order]
    items = _Occasions(user.own.counts[order], user.own.first_timestamps[order], user.own.last_timestamps[order])
    totals = {
        level: np.bincount(
            catalogue.codes[level][rows], weights=decayed, minlength=len(catalogue.vocabularies[level]) + 1
        )
        for level in SHARE_LEVELS
    }
    total = max(float(decayed.sum()), 1e-9)
    shares = {level: (counts / total).astype(np.float32) for level, counts in totals.items()}
    for share in shares.values():
        share[0] = 0.0  # the unknown code is not a preference
    codes = catalogue.codes[KIND][rows]
    kinds = _by_kind(codes, len(totals[KIND]), items)
    price = np.log1p(catalogue.numbers["price"][rows])
    priced = np.isfinite(price) & (decayed > 0)
    return OwnItemFeatures(
        rows=rows,
        counts=items.counts,
        decayed_counts=decayed,
        of_items=np.concatenate(
            [
                _of_items(items, decayed, user.as_of),
                _against_kinds(items, decayed, codes, totals[KIND], kinds.last),
            ],
            axis=1,
        ),
        of_kinds=_of_kinds(kinds, np.bincount(codes, minlength=len(totals[KIND])), user.as_of),
        shares=shares,
        days_since_last=float(items.days_since(user.as_of).min()) if len(rows) else 0.0,
        usual_price=float(np.average(price[priced], weights=decayed[priced])) if priced.any() else float("nan"),
        neighbours=catalogue.neighbours.scores(rows, own_weights(decayed)),
    )


def _of_items(items: _Occasions, decayed: Floats, as_of: int) -> Floats:
    weeks = np.maximum(as_of - items.first, 0) / MICROSECONDS_PER_DAY / _WEEK
    columns = [
        np.log1p(items.counts),
        np.log1p(decayed),
        decayed / max(float(decayed.max(initial=0.0)), 1e-9),
        np.log1p(items.days_since(as_of)),
        items.due(as_of),
        np.log1p(items.gaps()),
        items.counts / np.maximum(weeks, 1.0),
    ]
    return _columns(columns)


def _against_kinds(
    items: _Occasions, decayed: Floats, codes: Ints, decayed_of_kinds: npt.NDArray[Any], last_of_kinds: Times
) -> Floats:
    """Loyalty, and the days since the last time in which another item of the kind was taken; zeros without a kind."""
    later = (last_of_kinds[codes] - items.last) / MICROSECONDS_PER_DAY
    columns = [decayed / np.maximum(decayed_of_kinds[codes], 1e-9), np.log1p(later)]
    found = _columns(columns)
    found[codes == 0] = 0.0
    return found


def _by_kind(codes: Ints, kinds: int, items: _Occasions) -> _Occasions:
    """The same of each kind; times are 0 where there is none."""
    first, last = np.zeros(kinds, np.int64), np.zeros(kinds, np.int64)
    latest, earliest = np.argsort(items.last, kind="stable"), np.argsort(-items.first, kind="stable")
    last[codes[latest]] = items.last[latest]  # of equal codes the last one is written last
    first[codes[earliest]] = items.first[earliest]
    return _Occasions(np.bincount(codes, weights=items.counts, minlength=kinds).astype(np.float32), first, last)


def _of_kinds(kinds: _Occasions, items: npt.NDArray[np.int64], as_of: int) -> Floats:
    columns = [np.log1p(kinds.counts), np.log1p(items), np.log1p(kinds.days_since(as_of)), kinds.due(as_of)]
    found = _columns(columns)
    found[items == 0] = 0.0
    found[0] = 0.0  # items without a kind are not related
    return found


def _columns(columns: list[npt.NDArray[Any]]) -> Floats:
    stacked: Floats = np.stack(columns, axis=1).astype(np.float32)
    return stacked
