"""The metrics of one model's lists on one task."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from models.evaluation.ground_truth import GroundTruth, Task
from models.metrics.beyond_accuracy import character, popularity_curve, popularity_lift
from models.metrics.ranking import NO_ITEM, Floats, Ints, PerUser, list_properties, score_lists
from models.metrics.resampling import bounds, resampled_means
from models.metrics.slices import SliceScore, score_item_groups, score_user_groups

SHORT, LONG = 20, 500


@dataclass(frozen=True)
class ModelScore:
    """One model on one task: means over users, 95 % intervals, and means over slices."""

    recall_at_20: float
    recall_at_20_interval: tuple[float, float]
    ndcg_at_20: float
    ndcg_at_20_interval: tuple[float, float]
    hit_rate_at_20: float
    reciprocal_rank_at_20: float
    """MRR."""
    average_precision_at_20: float
    """MAP."""
    recall_at_500: float
    coverage_at_20: float
    popularity_rank_at_20: float
    ndcg_ratio: tuple[float, float, float]
    """Ratio of our metric to this model's on the same users, with its 95 % interval."""
    novelty_at_20: float
    """Mean self-information of the items shown, in bits."""
    diversity_at_20: float
    """Mean share of a list's pairs that are of two categories."""
    serendipity_at_20: float
    """Share of positions with a relevant item that is not among the 20 most popular."""
    popularity_at_20: float
    """ARP: mean recent users of the items shown."""
    popularity_lift_at_20: float
    """Popularity relative to the items the users took before."""
    gini_at_20: float
    popularity_curve: list[float] = field(default_factory=list)
    """Share of all positions given to the most popular `CURVE_SHARES` of the catalogue."""
    slices: dict[str, SliceScore] = field(default_factory=dict)
    """By group of users, or of target items."""


def score_model(ground_truth: GroundTruth, task: Task, lists: Ints, ours: PerUser) -> ModelScore:
    """Score `lists` [users of the task, 500]; `ours` are the values per user that it is compared with."""
    users, targets, statistics = (
        ground_truth.tasks[task].users,
        ground_truth.tasks[task].targets,
        ground_truth.statistics,
    )
    short = score_lists(lists, targets, SHORT)
    recalls, ndcgs, of_ours = resampled_means([short.recall, short.ndcg, ours.ndcg])
    inside = np.where(lists[:, :SHORT] < len(ground_truth.catalogue.item_ids), lists[:, :SHORT], NO_ITEM)
    like = character(lists, targets, statistics.items, SHORT)
    groups = {name: members[users] for name, members in statistics.user_groups.items()}
    mean = float(short.ndcg.mean())
    return ModelScore(
        recall_at_20=float(short.recall.mean()),
        recall_at_20_interval=bounds(recalls),
        ndcg_at_20=mean,
        ndcg_at_20_interval=bounds(ndcgs),
        hit_rate_at_20=float(short.hit.mean()),
        reciprocal_rank_at_20=float(short.reciprocal_rank.mean()),
        average_precision_at_20=float(short.average_precision.mean()),
        recall_at_500=float(score_lists(lists, targets, LONG).recall.mean()),
        coverage_at_20=like.coverage,
        popularity_rank_at_20=list_properties(inside, ground_truth.catalogue.popularity_rank, SHORT).popularity_rank,
        ndcg_ratio=_ratio(float(ours.ndcg.mean()), mean, of_ours, ndcgs),
        novelty_at_20=float(like.novelty.mean()),
        diversity_at_20=float(like.diversity.mean()),
        serendipity_at_20=float(like.serendipity.mean()),
        popularity_at_20=float(like.popularity.mean()),
        popularity_lift_at_20=popularity_lift(like.popularity, statistics.own_popularity[users]),
        gini_at_20=like.gini,
        popularity_curve=popularity_curve(lists, statistics.items.popularity, SHORT).tolist(),
        slices=score_user_groups(short, groups) | score_item_groups(lists, targets, statistics.item_groups, SHORT),
    )


def _ratio(ours: float, mean: float, drawn: Floats, of_model: Floats) -> tuple[float, float, float]:
    """NaN where a model found no target: there is no ratio to 0."""
    if not mean or not of_model.min():
        return (float("nan"),) * 3
    return (ours / mean, *bounds(drawn / of_model))
