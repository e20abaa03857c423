"""What the ranker knows of each candidate: one definition, used to train it and at every request.

Pure NumPy over a user's row and the item columns of a release. `NUMERIC` and `CATEGORICAL` name the columns in order; a
release whose ranker was trained on other names is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

import numpy as np
import numpy.typing as npt

from headrace.catalogue import Catalogue
from headrace.user_row import MICROSECONDS_PER_DAY, UserRow

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]


class Source(IntFlag):
    """Where a candidate came from; several may have named it."""

    OWN = 1
    TOWER = 2
    POPULAR = 4
    CATEGORY = 8


SHARE_LEVELS = ("category_1", "category_2", "category_3", "brand", "maker")
NUMERIC = (
    "own_count",  # log1p of the occasions on which the user took it
    "own_decayed_count",  # log1p
    "own_share",  # decayed count over the user's largest one
    "own_days_since",  # log1p of days since the last time; 0 if never
    "own_due",  # days since the last time over the usual gap, 0 to 5; 0 where no gap is known
    "tower_score",  # inner product, less the best of the request's candidates
    "popularity",  # log1p
    "trend_popularity",  # log1p
    "trend",  # log of recent over usual popularity
    "purchases",  # log1p
    "users_total",  # log1p
    "repeat_rate",
    "price",  # log1p; 0 if unknown
    "price_ratio",  # log of price over the user's usual price; 0 if unknown
    "age_days",  # log1p; 0 if unknown
    *(f"{level}_share" for level in SHARE_LEVELS),  # share of the user's decayed counts in it
    "user_events",  # log1p
    "user_items",  # log1p
    "from_own",
    "from_tower",
    "from_popular",
    "from_category",
)
CATEGORICAL = ("category_1", "category_2", "brand")


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
    place = np.searchsorted(own.rows, candidates)
    place_inside = np.minimum(place, max(len(own.rows) - 1, 0))
    is_own = own.rows[place_inside] == candidates if len(own.rows) else np.zeros(len(candidates), bool)

    def of_own(column: Floats) -> Floats:
        return np.where(is_own, column[place_inside], 0.0).astype(np.float32) if len(column) else zeros

    zeros = np.zeros(len(candidates), np.float32)
    number = {name: column[candidates] for name, column in catalogue.numbers.items()}
    decayed = of_own(own.decayed_counts)
    largest = max(float(own.decayed_counts.max(initial=0.0)), 1e-9)
    price = np.log1p(number["price"])
    best = tower_scores.max(initial=-np.inf) if len(tower_scores) else 0.0
    columns = [
        np.log1p(of_own(own.counts)),
        np.log1p(decayed),
        decayed / largest,
        np.log1p(of_own(own.days_since)),
        of_own(own.due),
        tower_scores - best,
        np.log1p(number["popularity"]),
        np.log1p(number["trend_popularity"]),
        np.log((number["popularity"] + 1) / (number["trend_popularity"] / 2 + 1)),
        np.log1p(number["purchases"]),
        np.log1p(number["users_total"]),
        number["repeat_rate"],
        price,
        price - own.usual_price,
        np.log1p(number["age_days"]),
        *(own.shares[level][catalogue.codes[level][candidates]] for level in SHARE_LEVELS),
        np.full(len(candidates), np.log1p(user.events_total)),
        np.full(len(candidates), np.log1p(len(own.rows))),
        *((sources & bit) > 0 for bit in Source),
    ]
    numeric = np.stack(columns, axis=1).astype(np.float32)
    np.nan_to_num(numeric, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    categorical = np.stack([catalogue.codes[name][candidates] for name in CATEGORICAL], axis=1)
    return RankingFeatures(numeric, categorical.astype(np.int32))
