"""Chooses the weight of the popularity prior on the holdout, and measures retrieval there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.metrics.resampling import slack
from models.two_tower.examples.holdout import HoldoutUsers

WEIGHTS = (0.0, 0.4, 0.7, 1.0, 1.2, 1.4)
DEPTH = 500

Floats = npt.NDArray[np.float32]
Columns = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RetrievalReport:
    """Mean recall@500 over the holdout's users, by task, of the towers and of the popular list."""

    recall_all: float
    recall_new: float
    recall_new_by_weight: dict[float, float]
    popular_all: float
    popular_new: float
    new_slack: float
    """How much recall_new − popular_new may be too low by chance."""
    best_weight: float


def choose_weight(
    users: Floats, vectors: Floats, log_popularity: Floats, recent: Floats, holdout: HoldoutUsers
) -> RetrievalReport:
    """The weight with the best recall of new items: old ones have a candidate source of their own.

    `users` [users, d] and item `vectors` [items, d] are without the prior; `log_popularity` [items] is what the weight
    multiplies, `recent` [items] what the popular list is sorted by.
    """
    listed = np.flatnonzero(holdout.bought)
    column = np.full(len(vectors), -1, np.int64)
    column[listed] = np.arange(len(listed))
    validation = _Validation([column[own] for own in holdout.own], [column[taken] for taken in holdout.targets])
    affinity = users @ vectors[listed].T if len(listed) else np.zeros((0, 0), np.float32)
    prior = log_popularity[listed]
    by_weight = {weight: validation.recalls(affinity, weight * prior, new_only=True) for weight in WEIGHTS}
    best = max(WEIGHTS, key=lambda weight: _mean(by_weight[weight]))
    nothing = np.zeros_like(affinity)
    popular_new = validation.recalls(nothing, recent[listed], new_only=True)
    return RetrievalReport(
        recall_all=_mean(validation.recalls(affinity, best * prior, new_only=False)),
        recall_new=_mean(by_weight[best]),
        recall_new_by_weight={weight: _mean(recalls) for weight, recalls in by_weight.items()},
        popular_all=_mean(validation.recalls(nothing, recent[listed], new_only=False)),
        popular_new=_mean(popular_new),
        new_slack=slack(by_weight[best], popular_new),
        best_weight=best,
    )


def _mean(values: npt.NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0


@dataclass(frozen=True)
class _Validation:
    """Users with their own items and targets, as columns of the scores."""

    own: list[Columns]
    targets: list[Columns]

    def recalls(self, affinity: Floats, item_scores: Floats, *, new_only: bool) -> npt.NDArray[np.float64]:
        """Recall@500 of each user that has targets, of the lists by affinity [users, items] + item scores [items]."""
        depth = min(DEPTH, affinity.shape[1])
        recalls = []
        for row, (own, wanted) in enumerate(zip(self.own, self.targets, strict=True)):
            targets = np.setdiff1d(wanted, own) if new_only else wanted
            if not len(targets):
                continue
            scores = affinity[row] + item_scores
            if new_only:
                scores[own[own >= 0]] = -np.inf
            best = np.argpartition(-scores, depth - 1)[:depth]
            recalls.append(np.isin(best, targets).sum() / min(depth, len(targets)))
        return np.array(recalls, np.float64)
