"""Which items are worth ranking for a user: several sources, merged into one list of distinct rows.

Pure NumPy over one release; the same code serves requests, makes the ranker's training candidates and the evaluation's.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from headrace.features.own_items import OwnItemFeatures
from headrace.features.ranking import Source
from headrace.release.catalogue import Catalogue
from serving.pipeline.index import VectorIndex

Rows = npt.NDArray[np.int32]
_NONE: Rows = np.zeros(0, np.int32)
_TREND_POWER = 0.6
"""What is taken more than usual goes before what is taken less. A first guess: not searched for here."""


@dataclass(frozen=True)
class Mix:
    """How many items each source may name. The popular list fills what is left of the number asked for.

    Chosen on four weeks of the demo data held out: among 500 candidates, more own items find more of everything bought,
    more of the tower's find more of what is new (recall .435 and .190; .427 and .183 with 250 own, 60 by category and
    300 of the tower).
    """

    own: int = 350
    """Items the user took before, best decayed count first."""
    popular: int = 30
    """Places kept for the most popular items."""
    trending: int = 0
    """Places kept for items that are taken more than before (`training.trending_candidates`)."""
    categories: int = 4
    """Of so many of the user's top categories…"""
    per_category: int = 5
    """…so many popular items each."""
    neighbours: int = 60
    """New items that the user's own items go with, the stronger and the more in trend the sooner."""
    tower: int = 500
    """Nearest items of the user's vector."""

    def scaled(self, share: float) -> Mix:
        """The same proportions in a list of `share` of the length (0 to 1), nothing left out that was in."""
        return Mix(**{name: ceil(number * share) for name, number in vars(self).items()})


@dataclass(frozen=True)
class Candidates:
    """Distinct rows and, for each, the bits of the `Source`s that named it (0: only there to fill the list)."""

    rows: Rows
    sources: Rows

    def __len__(self) -> int:
        return len(self.rows)


class CandidateSources:
    """The sources over one release."""

    def __init__(self, catalogue: Catalogue, index: VectorIndex, mix: Mix | None = None) -> None:
        self.mix = mix or Mix()
        self._index = index
        self._unavailable = ~catalogue.available
        self._trending = catalogue.trending if self.mix.trending else _NONE
        self._trend = np.exp(_TREND_POWER * catalogue.trend)
        self._category_names = catalogue.vocabularies["category_1"]
        self._popular_by_category = {name: self._offered(rows) for name, rows in catalogue.popular.items()}
        popular = self._popular_by_category.get("", _NONE)
        self._popular_order = np.concatenate([popular, self._others(catalogue, popular)])
        """Every available item: the popular list, then the rest by popularity."""
        self._popular_length = len(popular)
        share = float(catalogue.available.mean()) if len(catalogue) else 1.0
        self._asked_per_offered = 1 / max(share, 0.25)

    def for_user(
        self,
        own: OwnItemFeatures,
        vector: npt.NDArray[np.float32],
        number: int,
        excluded: Rows | None = None,
        mix: Mix | None = None,
    ) -> Candidates:
        """`number` distinct available items (all of them, where there are fewer), without the `excluded` rows.

        They come from the sources in the proportions of `mix`, by default `self.mix`.
        """
        mix = mix or self.mix
        refused = self._refused(excluded)
        more = 0 if excluded is None else len(excluded)
        return _merge(
            [
                (Source.OWN, self._offered(_own_rows(own), refused)[: mix.own]),
                (Source.POPULAR, self.popular(mix.popular, excluded)),
                (Source.TRENDING, self._offered(self._trending, refused)[: mix.trending]),
                (Source.CATEGORY, self._offered(self._of_top_categories(own, mix), refused)),
                (Source.NEIGHBOURS, self._neighbours(own, mix.neighbours, refused)),
                (Source.TOWER, self._nearest(vector, mix.tower, more, refused)),
                *self._filling(number, excluded),
            ],
            number,
        )

    def related(self, vector: npt.NDArray[np.float32], number: int, item_row: int) -> Candidates:
        """`number` available items, nearest to an item's `vector` first, without the item itself."""
        excluded = np.array([item_row], np.int32)
        nearest = self._nearest(vector, number, 1, self._refused(excluded))
        return _merge([(Source.TOWER, nearest), *self._filling(number, excluded)], number)

    def popular(self, number: int, excluded: Rows | None = None) -> Rows:
        """The most popular available items, without the `excluded` rows."""
        if excluded is None:
            return self._popular_order[:number]
        return self._offered(self._popular_order[: number + len(excluded)], self._refused(excluded))[:number]

    def _filling(self, number: int, excluded: Rows | None) -> list[tuple[int, Rows]]:
        listed = self._popular_length
        rows = self.popular(number, excluded)
        if number + (0 if excluded is None else len(excluded)) <= listed:
            return [(Source.POPULAR, rows)]
        inside = np.isin(rows, self._popular_order[:listed])
        return [(Source.POPULAR, rows[inside]), (0, rows[~inside])]

    def _of_top_categories(self, own: OwnItemFeatures, mix: Mix) -> Rows:
        shares = own.shares["category_1"]
        best = np.argsort(-shares, kind="stable")[: mix.categories]
        lists = [
            self._popular_by_category.get(self._category_names[code - 1], _NONE)[: mix.per_category]
            for code in best
            if shares[code] > 0
        ]
        return np.concatenate(lists) if lists else _NONE

    def _neighbours(self, own: OwnItemFeatures, most: int, refused: npt.NDArray[np.bool_]) -> Rows:
        rows = own.neighbours.rows
        values = own.neighbours.values * self._trend[rows]
        values[(values < 0) | refused[rows] | np.isin(rows, own.rows, assume_unique=True)] = 0
        number = min(most, int(np.count_nonzero(values)))
        best = np.argpartition(-values, number - 1)[:number] if number else _NONE
        return rows[best[np.argsort(-values[best], kind="stable")]]

    def _nearest(self, vector: npt.NDArray[np.float32], number: int, more: int, refused: npt.NDArray[np.bool_]) -> Rows:
        asked = int(number * self._asked_per_offered) + more
        return self._offered(self._index.nearest(vector, min(asked, len(refused))), refused)[:number]

    def _refused(self, excluded: Rows | None) -> npt.NDArray[np.bool_]:
        if excluded is None or not len(excluded):
            return self._unavailable
        refused = self._unavailable.copy()
        refused[excluded] = True
        return refused

    def _offered(self, rows: Rows, refused: npt.NDArray[np.bool_] | None = None) -> Rows:
        return rows[~(self._unavailable if refused is None else refused)[rows]]

    def _others(self, catalogue: Catalogue, listed: Rows) -> Rows:
        rest = catalogue.available.copy()
        rest[listed] = False
        rows = np.flatnonzero(rest)
        by_popularity = np.argsort(-catalogue.numbers["popularity"][rows], kind="stable")
        return rows[by_popularity].astype(np.int32)


def _own_rows(own: OwnItemFeatures) -> Rows:
    return own.rows[np.argsort(-own.decayed_counts, kind="stable")]


def _merge(parts: list[tuple[int, Rows]], number: int) -> Candidates:
    """The first `number` distinct rows of the parts in order, each with the bits of every part that names it."""
    rows = np.concatenate([part for _, part in parts])
    bits = np.repeat(np.array([bit for bit, _ in parts], np.int32), [len(part) for _, part in parts])
    unique, first, inverse = np.unique(rows, return_index=True, return_inverse=True)
    sources = np.zeros(len(unique), np.int32)
    np.bitwise_or.at(sources, inverse, bits)
    order = np.argsort(first)[:number]
    return Candidates(unique[order], sources[order])
