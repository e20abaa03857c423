"""Metrics of lists beyond accuracy: novelty, diversity, serendipity, popularity bias, concentration.

Values per user are arrays, so that they get intervals like accuracy does. Empty positions and items outside the
catalogue (numbers from `len(popularity)` on) are ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.metrics.ranking import NO_ITEM, Floats, Ints, Targets, hits, in_blocks

CURVE_SHARES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Shares of the catalogue, most popular first, at which the popularity curve is computed."""


@dataclass(frozen=True)
class ItemStatistics:
    """Statistics of the catalogue's items, by item number."""

    popularity: npt.NDArray[np.floating[Any]]
    """[items]: distinct recent users: what "popular" means."""
    users_ever: npt.NDArray[np.floating[Any]]
    """[items]: distinct users ever."""
    users: int
    """Users that the counts are of."""
    category: Ints
    """[items]: a number per category; −1 = unknown, similar to no other."""
    expected: npt.NDArray[np.bool_]
    """[items]: whether it is in the popular list, which serendipity leaves out."""


@dataclass(frozen=True)
class Character:
    """Metrics of the first k positions."""

    coverage: float
    """Share of the catalogue that is in at least one list."""
    gini: float
    """How unequally items are shown: 0 = all alike, 1 = one item only."""
    novelty: Floats
    """[users]: mean self-information in bits, −log2 of the share of users that ever took it (Zhou et al. 2010)."""
    diversity: Floats
    """[users]: share of the list's pairs that are of two categories; 1 with fewer than two items."""
    serendipity: Floats
    """[users]: share of positions with a relevant item that is not in the popular list (Ge et al. 2010)."""
    popularity: Floats
    """[users]: mean recent users of the items shown; its mean is ARP, average recommendation popularity."""


def character(lists: Ints, targets: Targets, statistics: ItemStatistics, k: int) -> Character:
    """Of the first `k` positions of `lists` [users, at least k]."""
    items = len(statistics.popularity)
    information = -np.log2(np.clip(statistics.users_ever / max(statistics.users, 1), 1 / max(statistics.users, 1), 1.0))
    exposures = np.zeros(items, np.int64)
    columns: list[tuple[Floats, ...]] = []
    for _, rows, wanted in in_blocks(lists, targets):
        shown = rows[:, :k]
        inside = (shown != NO_ITEM) & (shown < items)
        safe = np.where(inside, shown, 0)
        exposures += np.bincount(safe[inside], minlength=items)
        surprising = hits(rows, wanted, k) & inside & ~statistics.expected[safe]
        columns.append(
            (
                _mean(information[safe], inside),
                _diversity(np.where(inside, statistics.category[safe], -1), inside),
                surprising.sum(axis=1) / k,
                _mean(statistics.popularity[safe], inside),
            )
        )
    per_user = [np.concatenate(parts) for parts in zip(*columns, strict=True)]
    return Character(float((exposures > 0).mean()), gini(exposures), *per_user)


def gini(exposures: Ints) -> float:
    """Gini coefficient of how often each item is shown, items never shown included; 0 if none is shown."""
    total = exposures.sum()
    if not total:
        return 0.0
    ordered, number = np.sort(exposures), len(exposures)
    return float((2 * np.arange(1, number + 1) - number - 1) @ ordered / (number * total))


def popularity_lift(shown: Floats, own: Floats) -> float:
    """Mean popularity of the shown items over that of the users' earlier items, − 1 (Abdollahpouri et al. 2019).

    0 = as popular as their own items; 1 = twice. `own` [users] is NaN for users without own items.
    """
    known = ~np.isnan(own)
    mean = own[known].mean() if known.any() else 0.0
    return float(shown[known].mean() / mean - 1) if mean else float("nan")


def popularity_curve(
    lists: Ints, popularity: npt.NDArray[np.floating[Any]], k: int, shares: Sequence[float] = CURVE_SHARES
) -> Floats:
    """[shares]: share of all positions given to that share of the catalogue, most popular first."""
    rank = np.empty(len(popularity), np.int64)
    rank[np.argsort(-popularity, kind="stable")] = np.arange(len(popularity))
    shown = lists[:, :k]
    shown = shown[(shown != NO_ITEM) & (shown < len(popularity))]
    counts = np.bincount(rank[shown], minlength=len(popularity)).cumsum()
    edges = np.rint(np.asarray(shares) * len(popularity)).astype(int)
    return np.append(0, counts)[edges] / max(len(shown), 1)


def _mean(values: npt.NDArray[np.floating[Any]], inside: npt.NDArray[np.bool_]) -> Floats:
    """Mean over the filled positions of each list; 0 for an empty one."""
    counts = inside.sum(axis=1)
    sums = np.where(inside, values, 0.0).sum(axis=1)
    return np.divide(sums, counts, out=np.zeros(len(values)), where=counts > 0)


def _diversity(categories: Ints, inside: npt.NDArray[np.bool_]) -> Floats:
    """By runs of equal categories in the sorted list: no table of pairs."""
    counts = inside.sum(axis=1)
    pairs = counts * (counts - 1) / 2
    alike = np.zeros(len(categories))
    ordered = np.sort(categories, axis=1)
    run = np.zeros(len(categories), np.int64)
    for position in range(1, ordered.shape[1]):
        same = (ordered[:, position] == ordered[:, position - 1]) & (ordered[:, position] >= 0)
        run = np.where(same, run + 1, 0)
        alike += run  # the n-th of a run makes n − 1 more pairs
    return 1.0 - np.divide(alike, pairs, out=np.zeros(len(categories)), where=pairs > 0)
