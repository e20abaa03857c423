"""What the two trainings of a day left behind, and what of it is logged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.errors import BadInputError
from headrace.release.bundle import Release, open_release
from models.release.registry import TrainingRecord
from models.training import files

_TIMINGS = ("seconds", "examples_per_second")


@dataclass(frozen=True)
class Trained:
    """One day's training, read from its folder."""

    retrieval: Release
    ranker: Path
    metrics: dict[str, Any]
    parameters: dict[str, Any]


def read_trained(folder: Path) -> Trained:
    """Raises ReleaseError without a retrieval bundle, BadInputError without measurements or parameters."""
    return Trained(
        retrieval=open_release(folder / files.FINAL_BUNDLE),
        ranker=folder / files.RANKER_FOLDER,
        metrics={
            "retrieval": _json(folder / files.RETRIEVAL_METRICS),
            "ranker": _json(folder / files.RANKER_METRICS),
        },
        parameters={
            "retrieval": _json(folder / files.RETRIEVAL_PARAMETERS),
            "ranker": _json(folder / files.RANKER_PARAMETERS),
        },
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise BadInputError(
            f"{path} is missing or unreadable", "Train first: models.train_retrieval, then models.train_ranker"
        ) from None
    return content


def without_timings(content: Any) -> Any:
    """Without fields that differ between two runs on the same data: the same training gives the same release."""
    if isinstance(content, Mapping):
        return {key: without_timings(value) for key, value in content.items() if key not in _TIMINGS}
    return [without_timings(value) for value in content] if isinstance(content, list) else content


def training_records(trained: Trained) -> list[TrainingRecord]:
    """Parameters, numbers and curves of both trainings."""
    retrieval, ranker = trained.metrics["retrieval"], trained.metrics["ranker"]
    phases = {phase["name"]: phase for phase in retrieval["phases"]}
    curves = {f"loss_{name}": phase["losses"] for name, phase in phases.items()}
    speeds = {f"examples_per_second_{name}": phase["examples_per_second"] for name, phase in phases.items()}
    return [
        TrainingRecord(
            "retrieval",
            trained.parameters["retrieval"],
            {**_numbers(retrieval), **speeds, "index_recall_at_500": retrieval["index"]["recall"]},
            curves,
        ),
        TrainingRecord(
            "ranker",
            trained.parameters["ranker"],
            {
                **_numbers(ranker),
                **_numbers(ranker["probabilities"]),
                "ndcg_at_20_all": ranker["ndcg_all"][-1],
                "ndcg_at_20_new": ranker["ndcg_new"][-1],
            },
            {"loss": ranker["losses"], "ndcg_all": ranker["ndcg_all"], "ndcg_new": ranker["ndcg_new"]},
        ),
    ]


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if isinstance(value, int | float)}
