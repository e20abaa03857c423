"""Our lists compared with other models' on the same users: metrics, intervals, floors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models.evaluation.baselines import personal_frequency, popularity
from models.evaluation.ground_truth import GroundTruth, Task
from models.evaluation.model_score import LONG, SHORT, ModelScore, score_model
from models.metrics.ranking import Ints, score_lists

OURS, POPULARITY, PERSONAL = "ours", "popularity", "personal frequency"


@dataclass(frozen=True)
class Comparison:
    """All models on one task."""

    task: Task
    users: int
    scores: dict[str, ModelScore]

    def as_json(self) -> dict[str, Any]:
        """For the report file; NaN (a ratio to 0) becomes null."""
        models = json.dumps({name: asdict(score) for name, score in self.scores.items()})
        return {"users": self.users, "models": json.loads(models, parse_constant=lambda _nan: None)}


def compare(ground_truth: GroundTruth, task: Task, ours: Ints, others: Mapping[str, Ints] | None = None) -> Comparison:
    """Score `ours` [users of the task, 500], the baselines of the floors, and `others` with lists of the same shape."""
    lists = {OURS: ours, POPULARITY: popularity(ground_truth, task, LONG)}
    if task == "all":
        lists[PERSONAL] = personal_frequency(ground_truth, task, LONG)
    short = score_lists(ours, ground_truth.tasks[task].targets, SHORT)
    every = {**lists, **{name: rows for name, rows in (others or {}).items() if name not in lists}}
    return Comparison(
        task, len(ours), {name: score_model(ground_truth, task, rows, short) for name, rows in every.items()}
    )


def broken_floors(comparisons: list[Comparison]) -> list[str]:
    """The floors that our lists miss: above popularity on both tasks, not below personal frequency on task *all*."""
    broken = []
    for comparison in comparisons:
        ours = comparison.scores[OURS].ndcg_at_20
        for name in (POPULARITY, PERSONAL):
            score = comparison.scores.get(name)
            if score is None:
                continue
            reached = ours >= score.ndcg_at_20 if name == PERSONAL else ours > score.ndcg_at_20
            if not reached:
                broken.append(f"{comparison.task}: nDCG@20 {ours:.4f}, {name} {score.ndcg_at_20:.4f}")
    return broken
