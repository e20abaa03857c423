"""Ours beside the baselines on the same users: numbers, intervals, floors."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headrace.errors import BadInputError
from models.evaluation.baselines import personal_frequency, popularity
from models.evaluation.metrics import NO_ITEM, Ints, PerUser, Targets, list_properties, score_lists
from models.evaluation.resampling import interval, paired_ratio
from models.evaluation.truth import Task, Truth

SHORT, LONG = 20, 500
OURS, POPULARITY, PERSONAL = "ours", "popularity", "personal frequency"


@dataclass(frozen=True)
class ModelScore:
    """One model on one task: means over users and 95 % intervals."""

    recall_at_20: float
    recall_at_20_interval: tuple[float, float]
    ndcg_at_20: float
    ndcg_at_20_interval: tuple[float, float]
    hit_rate_at_20: float
    reciprocal_rank_at_20: float
    recall_at_500: float
    coverage_at_20: float
    popularity_rank_at_20: float
    ndcg_ratio: tuple[float, float, float]
    """Ours over this model on the same users, with its 95 % interval."""


@dataclass(frozen=True)
class Comparison:
    """All models on one task."""

    task: Task
    users: int
    scores: dict[str, ModelScore]

    def as_json(self) -> dict[str, Any]:
        """For the report file."""
        return {"users": self.users, "models": {name: asdict(score) for name, score in self.scores.items()}}


def compare(truth: Truth, task: Task, ours: Ints) -> Comparison:
    """Score `ours` [users of the task, 500] and the baselines."""
    lists = {OURS: ours, POPULARITY: popularity(truth, task, LONG)}
    if task == "all":
        lists[PERSONAL] = personal_frequency(truth, task, LONG)
    targets = truth.tasks[task].targets
    short = {name: score_lists(rows, targets, SHORT) for name, rows in lists.items()}
    scores = {name: _score(rows, short[name], short[OURS], targets, truth) for name, rows in lists.items()}
    return Comparison(task, len(ours), scores)


def broken_floors(comparisons: list[Comparison]) -> list[str]:
    """What ours fails to reach: above popularity on both tasks, not below personal frequency on all."""
    broken = []
    for comparison in comparisons:
        ours = comparison.scores[OURS].ndcg_at_20
        for name, score in comparison.scores.items():
            reached = ours >= score.ndcg_at_20 if name == PERSONAL else ours > score.ndcg_at_20
            if name != OURS and not reached:
                broken.append(f"{comparison.task}: nDCG@20 {ours:.4f}, {name} {score.ndcg_at_20:.4f}")
    return broken


def read_lists(path: Path, truth: Truth, task: Task) -> Ints:
    """[users of the task, 500] item numbers from a file of (user_id, rank from 1, item_id).

    A user that the file does not name gets the popular list; an item outside the catalogue keeps its place, as a miss.
    """
    try:
        table = pq.read_table(path, columns=["user_id", "rank", "item_id"])
    except (OSError, KeyError, pa.ArrowInvalid) as error:
        raise BadInputError(f"{path}: no lists of user_id, rank, item_id ({error})", "Write them again") from None
    users = truth.tasks[task].users
    names = pa.array([truth.user_ids[user] for user in users], pa.string())
    row = pc.fill_null(pc.index_in(table.column("user_id"), value_set=names), -1).to_numpy()
    encoded = table.column("item_id").combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    known = pa.array(truth.catalogue.item_ids, pa.string())
    number = pc.index_in(encoded.dictionary, value_set=known).to_numpy(zero_copy_only=False)
    unknown = np.isnan(number)
    number = np.where(unknown, len(known) + np.arange(len(number)), number).astype(np.int64)
    item = number[encoded.indices.to_numpy()]
    rank = table.column("rank").to_numpy()
    wanted = (row >= 0) & (rank >= 1) & (rank <= LONG)
    lists = np.full((len(users), LONG), NO_ITEM, np.int64)
    lists[row[wanted], rank[wanted] - 1] = item[wanted]
    missing = ~np.isin(np.arange(len(users)), row)
    lists[missing] = popularity(truth, task, LONG)[missing]
    return lists


def _score(lists: Ints, short: PerUser, ours: PerUser, targets: Targets, truth: Truth) -> ModelScore:
    catalogue = len(truth.catalogue.item_ids)
    inside = np.where(lists < catalogue, lists, NO_ITEM)
    properties = list_properties(inside, truth.catalogue.popularity_rank, SHORT)
    return ModelScore(
        recall_at_20=float(short.recall.mean()),
        recall_at_20_interval=interval(short.recall),
        ndcg_at_20=float(short.ndcg.mean()),
        ndcg_at_20_interval=interval(short.ndcg),
        hit_rate_at_20=float(short.hit.mean()),
        reciprocal_rank_at_20=float(short.reciprocal_rank.mean()),
        recall_at_500=float(score_lists(lists, targets, LONG).recall.mean()),
        coverage_at_20=properties.coverage,
        popularity_rank_at_20=properties.popularity_rank,
        ndcg_ratio=paired_ratio(ours.ndcg, short.ndcg),
    )
