"""Writes an evaluation: JSON, Markdown and plots to one folder, and to the release's run in MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from headrace.errors import ServiceError
from headrace.release.bundle import EVALUATION, Release
from headrace.settings import Settings
from models.evaluation.comparison import OURS, Comparison
from models.evaluation.plots import draw
from models.evaluation.tables import all_tables, for_markdown
from models.training.command import replacing, write_json
from models.training.run_log import add_to_run

JSON, MARKDOWN = "evaluation.json", "evaluation.md"
_LOGGED = ("recall_at_20", "ndcg_at_20", "recall_at_500", "coverage_at_20", "novelty_at_20", "diversity_at_20")


def report_content(release: Release, day: date, comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """The report as JSON."""
    tasks = {comparison.task: comparison.as_json() for comparison in comparisons}
    return {"release_id": release.release_id, "day": str(day), "tasks": tasks}


def write_report(folder: Path, release: Release, day: date, comparisons: Sequence[Comparison]) -> None:
    """Replace `folder` by the report of this evaluation."""
    with replacing(folder) as partial:
        write_json(partial / JSON, report_content(release, day, comparisons))
        pictures = draw(partial, comparisons, _probabilities(release))
        head = f"# Release {release.release_id} on events after {day}\n"
        shown = [f"![{picture.stem.replace('_', ' ')}]({picture.name})\n" for picture in pictures]
        tables = [for_markdown(rows) for rows in all_tables(comparisons)]
        (partial / MARKDOWN).write_text("\n".join([head, *tables, *shown]), encoding="utf-8")


def log_report(settings: Settings, folder: Path, release: Release, comparisons: Sequence[Comparison]) -> str:
    """Log the folder and the main numbers to the release's run; returns what was done, in one sentence.

    If MLflow is unavailable or has no such run, the folder still has all files.
    """
    numbers = {
        f"evaluation.{comparison.task}.{name}": float(getattr(comparison.scores[OURS], name))
        for comparison in comparisons
        for name in _LOGGED
    }
    try:
        run = add_to_run(settings.mlflow, release.release_id, folder, numbers)
    except ServiceError as error:
        return f"not logged to MLflow: {error.problem}"
    return f"logged to MLflow, run {run}" if run else f"not logged: MLflow has no run of release {release.release_id}"


def _probabilities(release: Release) -> Mapping[str, Any] | None:
    """Metrics of the ranker's probabilities from training; None for a release without a ranker, or an older one."""
    if not (release.folder / EVALUATION).exists():
        return None
    found: Mapping[str, Any] = release.json(EVALUATION)
    return found.get("holdout", {}).get("ranker", {}).get("probabilities")
