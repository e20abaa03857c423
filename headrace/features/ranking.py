"""The ranker's features of a candidate: one definition, for training and for every request.

Pure NumPy over a user's row and the item columns of a release. `NUMERIC` and `CATEGORICAL` name the columns in order; a
release whose ranker was trained on other names is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

import numpy as np
import numpy.typing as npt

from headrace.features.own_items import KIND, SHARE_LEVELS, OwnItemFeatures
from headrace.features.user_row import UserRow
from headrace.release.catalogue import ITEM_FEATURES, Catalogue

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]


class Source(IntFlag):
    """Source of a candidate; a candidate may have several."""

    OWN = 1
    TOWER = 2
    POPULAR = 4
    CATEGORY = 8
    NEIGHBOURS = 16
    TRENDING = 32
    """Not an input of the ranker: the trend itself is one of its numbers."""


NUMERIC = (
    "own_count",  # log1p of the occasions on which the user took it
    "own_decayed_count",  # log1p
    "own_share",  # decayed count over the user's largest one
    "own_days_since",  # log1p of days since the last time; 0 if never
    "own_due",  # days since the last time over the usual gap, 0 to 5; 0 where no gap is known
    "own_gap",  # log1p of the usual days from one time to the next; 0 where no gap is known
    "own_rate",  # occasions a week since the first time
    "own_loyalty",  # share of the user's decayed counts in its category_3
    "own_replaced",  # log1p of days from the last time to the last time of any item in its category_3
    "tower_score",  # inner product, less the best of the request's candidates
    "neighbour_score",  # signed root of the sum of the own items' weights for it; 0 without any
    "neighbour_share",  # the same over the largest of all items; 0 where it is below 0
    *ITEM_FEATURES,
    "price_ratio",  # log of price over the user's usual price; 0 if unknown
    *(f"{level}_share" for level in SHARE_LEVELS),  # share of the user's decayed counts in it
    "kind_count",  # log1p of the user's occasions in its category_3
    "kind_items",  # log1p of the number of distinct items in it that the user took
    "kind_days_since",  # log1p of days since the last of them; 0 if never
    "kind_due",  # days since the last of them over the usual gap, 0 to 5
    "user_events",  # log1p
    "user_items",  # log1p
    "user_days_since",  # log1p of days since the last occasion; 0 if never
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
"""Columns of a user's feature row that these features depend on."""
_TOWER_SCORE = NUMERIC.index("tower_score")
_NEIGHBOURS = NUMERIC.index("neighbour_score")
_ITEM = NUMERIC.index(ITEM_FEATURES[0])
_PRICE_RATIO = NUMERIC.index("price_ratio")
_KIND = NUMERIC.index("kind_count")
_USER_EVENTS = NUMERIC.index("user_events")
_SOURCES = NUMERIC.index("from_own")
OF_USER = slice(_USER_EVENTS, _SOURCES)
"""The numbers that are the same for all candidates of a user."""


@dataclass(frozen=True)
class RankingFeatures:
    """The ranker's inputs for the candidates of one user."""

    numeric: Floats
    """[candidates, len(NUMERIC)], finite."""
    categorical: Ints
    """[candidates, len(CATEGORICAL)], codes of the release's vocabularies."""


def ranking_features(
    user: UserRow,
    own: OwnItemFeatures,
    catalogue: Catalogue,
    candidates: Ints,
    tower_scores: Floats,
    sources: Ints,
) -> RankingFeatures:
    """Features of `candidates` (row numbers) for one user; `sources` holds `Source` bits."""
    numeric = np.zeros((len(candidates), len(NUMERIC)), np.float32)
    is_own, index = _own_indices(own, candidates)
    if len(index):
        numeric[is_own, :_TOWER_SCORE] = own.of_items[index]
    numeric[:, _TOWER_SCORE] = tower_scores - tower_scores.max(initial=-np.inf)
    said = own.neighbours.of(candidates)
    said = np.sign(said) * np.sqrt(np.abs(said))
    numeric[:, _NEIGHBOURS] = said
    numeric[:, _NEIGHBOURS + 1] = np.maximum(said, 0) / np.sqrt(own.neighbours.values.max(initial=1e-9))
    numeric[:, _ITEM:_PRICE_RATIO] = catalogue.item_features[candidates]
    price_ratio = np.log1p(catalogue.numbers["price"][candidates]) - own.usual_price
    numeric[:, _PRICE_RATIO] = np.where(np.isfinite(price_ratio), price_ratio, 0.0)
    for column, level in enumerate(SHARE_LEVELS, start=_PRICE_RATIO + 1):
        numeric[:, column] = own.shares[level][catalogue.codes[level][candidates]]
    numeric[:, _KIND:_USER_EVENTS] = own.of_kinds[catalogue.codes[KIND][candidates]]
    numeric[:, OF_USER] = np.log1p([user.events_total, len(own.rows), own.days_since_last])
    numeric[:, _SOURCES:] = sources[:, None] & _SOURCE_BITS > 0
    categorical = np.empty((len(candidates), len(CATEGORICAL)), np.int32)
    for column, name in enumerate(CATEGORICAL):
        categorical[:, column] = catalogue.codes[name][candidates]
    return RankingFeatures(numeric, categorical)


_SOURCE_BITS = np.array([Source[name.removeprefix("from_").upper()] for name in NUMERIC[_SOURCES:]], np.int32)


def _own_indices(own: OwnItemFeatures, candidates: Ints) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Which candidates are own items, and their indices in `own.rows`."""
    if not len(own.rows):
        return np.zeros(len(candidates), bool), np.zeros(0, np.int64)
    index = np.minimum(np.searchsorted(own.rows, candidates), len(own.rows) - 1)
    is_own = own.rows[index] == candidates
    return is_own, index[is_own]
