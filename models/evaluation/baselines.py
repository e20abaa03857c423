"""Simple lists that every model must beat: popular items, and the items the user takes most."""

from __future__ import annotations

import numpy as np

from models.evaluation.ground_truth import GroundTruth, Rows, Task
from models.metrics.ranking import NO_ITEM, Ints


def popularity(ground_truth: GroundTruth, task: Task, k: int) -> Ints:
    """[users of the task, k]: the most popular items; for task new without the user's own."""
    return _lists(ground_truth, task, k, own_first=False)


def personal_frequency(ground_truth: GroundTruth, task: Task, k: int) -> Ints:
    """[users of the task, k]: own items by decayed count, then popular ones. For task new, the same as popularity."""
    return _lists(ground_truth, task, k, own_first=task == "all")


def _lists(ground_truth: GroundTruth, task: Task, k: int, *, own_first: bool) -> Ints:
    users = ground_truth.tasks[task].users
    order = ground_truth.catalogue.order
    lists = np.full((len(users), k), NO_ITEM, np.int64)
    for row, user in enumerate(users):
        own = ground_truth.own.of(int(user))
        popular = order[: k + len(own)] if own_first or task == "new" else order[:k]
        others = popular[~np.isin(popular, own)] if own_first or task == "new" else popular
        chosen: Rows = np.concatenate([own, others])[:k] if own_first else others[:k]
        lists[row, : len(chosen)] = chosen
    return lists
