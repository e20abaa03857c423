"""What the ranker knows of each candidate: one definition, used to train it and at every request.

Pure NumPy over a user's row and the item columns of a release. `NUMERIC` and `CATEGORICAL` name the columns in order; a
release whose ranker was trained on other names is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

import numpy as np
import numpy.typing as npt

from headrace.catalogue import ITEM_FEATURES, Catalogue
from headrace.neighbours import Scores, own_weights
from headrace.user_row import MICROSECONDS_PER_DAY, UserRow

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]


class Source(IntFlag):
    """Where a candidate came from; several may have named it."""

    OWN = 1
    TOWER = 2
    POPULAR = 4
    CATEGORY = 8
    NEIGHBOURS = 16


SHARE_LEVELS = ("category_1", "category_2", "category_3", "brand", "maker")
NUMERIC = (
    "own_count",  # log1p of the occasions on which the user took it
    "own_decayed_count",  # log1p
    "own_share",  # decayed count over the user's largest one
    "own_days_since",  # log1p of days since the last time; 0 if never
    "own_due",  # days since the last time over the usual gap, 0 to 5; 0 where no gap is known
    "tower_score",  # inner product, less the best of the request's candidates
    "neighbour_score",  # root of what the own items say of it: 0 where none goes with it
    "neighbour_share",  # the same over the largest of all items
    *ITEM_FEATURES,
    "price_ratio",  # log of price over the user's usual price; 0 if unknown
    *(f"{level}_share" for level in SHARE_LEVELS),  # share of the user's decayed counts in it
    "user_events",  # log1p
    "user_items",  # log1p
    "from_own",
    "from_tower",
    "from_popular",
    "from_category",
    "from_neighbours",
)
CATEGORICAL = ("category_1", "category_2", "brand")
USER_COLUMNS = (
    "own_items",
    "own_counts",
    "own_decayed_counts",
    "own_first_timestamps",
    "own_last_timestamps",
    "events_total",
)
"""Columns of a user's feature row that any of these depend on."""
_TOWER_SCORE = NUMERIC.index("tower_score")
_NEIGHBOURS = NUMERIC.index("neighbour_score")
_ITEM = NUMERIC.index(ITEM_FEATURES[0])
_PRICE_RATIO = NUMERIC.index("price_ratio")
_USER_EVENTS = NUMERIC.index("user_events")
_SOURCES = NUMERIC.index("from_own")


@dataclass(frozen=True)
class RankingFeatures:
    """The ranker's inputs for the candidates of one user."""

    numeric: Floats
    """[candidates, len(NUMERIC)], finite."""
    categorical: Ints
    """[candidates, len(CATEGORICAL)], codes of the release's vocabularies."""


@dataclass(frozen=True)
class OwnColumns:
    """A user's own items that the release knows, by row number in ascending order."""

    rows: Ints
    counts: Floats
    decayed_counts: Floats
    days_since: Floats
    due: Floats
    shares: dict[str, Floats]
    """Per level of `SHARE_LEVELS`: share of the user's decayed counts by code."""
    usual_price: float
    """Mean log1p price of the own items, weighted by decayed count; NaN if none is known."""
    neighbours: Scores
    """What they say of all items."""


def own_columns(user: UserRow, catalogue: Catalogue) -> OwnColumns:
    """The user's half of the features, computed once per request."""
    all_rows = catalogue.rows(user.own.items)
    known = np.flatnonzero(all_rows >= 0)
    order = known[np.argsort(all_rows[known], kind="stable")]
    rows, counts = all_rows[order], user.own.counts[order]
    decayed = user.own.decayed_counts[order]
    first, last = user.own.first_timestamps[order], user.own.last_timestamps[order]
    days_since = np.maximum(user.as_of - last, 0) / MICROSECONDS_PER_DAY
    gap = (last - first) / MICROSECONDS_PER_DAY / np.maximum(counts - 1, 1)
    due = np.where((counts > 1) & (gap > 0), days_since / np.maximum(gap, 0.5), 0.0)
    total = max(float(decayed.sum()), 1e-9)
    shares = {
        level: (
            np.bincount(
                catalogue.codes[level][rows],
                weights=decayed,
                minlength=len(catalogue.vocabularies[level]) + 1,
            )
            / total
        ).astype(np.float32)
        for level in SHARE_LEVELS
    }
    for share in shares.values():
        share[0] = 0.0  # unknown is no taste
    price = np.log1p(catalogue.numbers["price"][rows])
    priced = np.isfinite(price) & (decayed > 0)
    usual = float(np.average(price[priced], weights=decayed[priced])) if priced.any() else float("nan")
    return OwnColumns(
        rows,
        counts,
        decayed,
        days_since.astype(np.float32),
        np.clip(due, 0, 5).astype(np.float32),
        shares,
        usual,
        catalogue.neighbours.scores(rows, own_weights(decayed)),
    )


def ranking_features(
    user: UserRow,
    own: OwnColumns,
    catalogue: Catalogue,
    candidates: Ints,
    tower_scores: Floats,
    sources: Ints,
) -> RankingFeatures:
    """Features of `candidates` (row numbers) for one user; `sources` holds `Source` bits."""
    numeric = np.zeros((len(candidates), len(NUMERIC)), np.float32)
    is_own, place = _own_places(own, candidates)
    if len(place):
        decayed = own.decayed_counts[place]
        largest = max(float(own.decayed_counts.max()), 1e-9)
        days = own.days_since[place]
        columns = [np.log1p(own.counts[place]), np.log1p(decayed), decayed / largest, np.log1p(days), own.due[place]]
        numeric[is_own, :_TOWER_SCORE] = np.stack(columns, axis=1)
    numeric[:, _TOWER_SCORE] = tower_scores - tower_scores.max(initial=-np.inf)
    said = np.sqrt(own.neighbours.of(candidates))
    numeric[:, _NEIGHBOURS] = said
    numeric[:, _NEIGHBOURS + 1] = said / np.sqrt(own.neighbours.values.max(initial=1e-9))
    numeric[:, _ITEM:_PRICE_RATIO] = catalogue.item_features[candidates]
    price_ratio = np.log1p(catalogue.numbers["price"][candidates]) - own.usual_price
    numeric[:, _PRICE_RATIO] = np.where(np.isfinite(price_ratio), price_ratio, 0.0)
    for column, level in enumerate(SHARE_LEVELS, start=_PRICE_RATIO + 1):
        numeric[:, column] = own.shares[level][catalogue.codes[level][candidates]]
    numeric[:, _USER_EVENTS] = np.log1p(user.events_total)
    numeric[:, _USER_EVENTS + 1] = np.log1p(len(own.rows))
    numeric[:, _SOURCES:] = sources[:, None] & _SOURCE_BITS > 0
    categorical = np.empty((len(candidates), len(CATEGORICAL)), np.int32)
    for column, name in enumerate(CATEGORICAL):
        categorical[:, column] = catalogue.codes[name][candidates]
    return RankingFeatures(numeric, categorical)


_SOURCE_BITS = np.array([int(bit) for bit in Source], np.int32)


def _own_places(own: OwnColumns, candidates: Ints) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Which candidates are own items, and where in `own.rows` those stand."""
    if not len(own.rows):
        return np.zeros(len(candidates), bool), np.zeros(0, np.int64)
    place = np.minimum(np.searchsorted(own.rows, candidates), len(own.rows) - 1)
    is_own = own.rows[place] == candidates
    return is_own, place[is_own]
