"""Chooses the weight of the popularity prior on the holdout, and measures retrieval there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.two_tower.holdout import HoldoutUsers

WEIGHTS = (0.0, 0.4, 0.7, 1.0, 1.2, 1.4)
DEPTH = 500
_USERS_AT_ONCE = 256
_MOST_USERS = 1500

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class RetrievalReport:
    """Mean recall@500 over the holdout's users, by task, for each weight of the prior and for the popular list."""

    recall_all: dict[float, float]
    recall_new: dict[float, float]
    popular_all: float
    popular_new: float
    best_weight: float


def choose_weight(
    users: Floats, vectors: Floats, log_popularity: Floats, recent: Floats, holdout: HoldoutUsers
) -> RetrievalReport:
    """The weight with the best recall of new items: old ones have a candidate source of their own.

    `users` [users, d] and item `vectors` [items, d] are without the prior; `log_popularity` [items] is what the weight
    multiplies, `recent` [items] what the popular list is sorted by.
    """
    chosen = np.unique(np.linspace(0, len(users) - 1, min(len(users), _MOST_USERS)).astype(int)) if len(users) else []
    sums: dict[tuple[float | None, str], list[float]] = {}
    for part in np.array_split(np.asarray(chosen, int), max(1, len(chosen) // _USERS_AT_ONCE)):
        affinity = users[part] @ vectors.T
        for weight in (*WEIGHTS, None):
            scores = np.tile(recent, (len(part), 1)) if weight is None else affinity + weight * log_popularity
            scores[:, ~holdout.bought] = -np.inf
            for task in ("all", "new"):
                sums.setdefault((weight, task), []).extend(_recalls(scores, part, holdout, task))
    recall = {key: float(np.mean(values)) if values else 0.0 for key, values in sums.items()}
    by_task = {task: {weight: recall.get((weight, task), 0.0) for weight in WEIGHTS} for task in ("all", "new")}
    best = max(WEIGHTS, key=lambda weight: (by_task["new"][weight], by_task["all"][weight]))
    popular = {task: recall.get((None, task), 0.0) for task in ("all", "new")}
    return RetrievalReport(by_task["all"], by_task["new"], popular["all"], popular["new"], best)


def _recalls(scores: Floats, part: npt.NDArray[np.int64], holdout: HoldoutUsers, task: str) -> list[float]:
    """Recall@500 of each user of the part that has targets; `scores` lose the own items for task new."""
    depth = min(DEPTH, scores.shape[1])
    if task == "new":
        for row, user in enumerate(part):
            scores[row, holdout.own[user]] = -np.inf
    best = np.argpartition(-scores, depth - 1, axis=1)[:, :depth]
    recalls = []
    for row, user in enumerate(part):
        targets = holdout.targets[user]
        wanted = targets if task == "all" else np.setdiff1d(targets, holdout.own[user])
        if len(wanted):
            recalls.append(np.isin(best[row], wanted).sum() / min(depth, len(wanted)))
    return recalls
