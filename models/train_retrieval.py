"""Trains retrieval for one day: `python -m models.train_retrieval --day D`.

Writes two sealed bundles below `<home>/training/<D>/`: `retrieval_holdout`, which is not trained on the last
`training.holdout_days` (the ranker is trained on its candidates), and `retrieval`, with training continued over them.

In parallel, once for each, a second process writes the holdout bundles of the earlier holdouts that the ranker is also
trained on.

Started on several machines with TensorFlow's `TF_CONFIG`, the processes train one model; the first one writes it.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.errors import BadInputError
from headrace.release.bundle import seal_release
from headrace.release.code_version import code_version
from headrace.settings import Settings
from headrace.tables import end_of
from models.neighbours.table import neighbour_table
from models.training.checkpoints import Checkpoints
from models.training.command import day_command, progress_bars, replacing, write_json
from models.training.files import CHECKPOINTS, FINAL_BUNDLE, HOLDOUT_BUNDLE, RETRIEVAL_METRICS, RETRIEVAL_PARAMETERS
from models.training.workers import Worker, side_by_side, this_worker
from models.two_tower.bundle import RetrievalParts, write_retrieval_files
from models.two_tower.examples.inputs import RetrievalInputs, read_inputs
from models.two_tower.examples.item_table import with_surprise
from models.two_tower.index import IndexReport
from models.two_tower.prior import RetrievalReport
from models.two_tower.training import PhaseReport
from models.two_tower.training_phases import Floats, TrainingPhases


@dataclass(frozen=True)
class Trained:
    """Results of a training that go into a bundle."""

    vectors: Floats
    """[items + 1, embedding_size - 1], row 0 = unknown."""
    prior_weight: float
    neighbours: pa.Table


def train_retrieval(settings: Settings, day: date) -> Path:
    """Train, write both bundles and return the folder that holds them. Raises BadInputError on too little data."""
    folder = settings.training_folder / day.isoformat()
    training = settings.training
    worker = this_worker()
    worker.strategy()
    with progress_bars() as progress:
        inputs = read_inputs(settings, day, progress)
        phases = TrainingPhases(inputs, training, worker, progress, _checkpoints(settings, folder, inputs))
        first, report = _up_to_the_holdout(settings, folder, inputs, phases, worker)
        with ThreadPoolExecutor(1) as beside:
            neighbours = beside.submit(_neighbours, settings, inputs, holdout=False) if report else None
            last = phases.over_the_holdout(first.epochs)
            if not (report and neighbours):
                return folder
            trained = Trained(phases.vectors(holdout=False), report.best_weight, neighbours.result())
            index = _write(settings, folder / FINAL_BUNDLE, inputs, phases, trained, holdout=False)
    write_json(folder / RETRIEVAL_PARAMETERS, {**training.model_dump(mode="json"), "prior_weight": report.best_weight})
    metrics = _metrics(report, [first, last], index)
    write_json(folder / RETRIEVAL_METRICS, metrics)
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    _print(metrics)
    return folder


def train_earlier_holdouts(settings: Settings, days: Sequence[date], *, quiet: bool = False) -> None:
    """Write the holdout bundles of these earlier days, where the lake has enough data."""
    worker = this_worker()
    with progress_bars(quiet=quiet) as progress:
        for each in days:
            folder = settings.training_folder / each.isoformat()
            try:
                inputs = read_inputs(settings, each, progress)
            except BadInputError as error:
                print(f"no bundle of the holdout up to {each}: {error}")
                continue
            phases = TrainingPhases(inputs, settings.training, worker, progress, _checkpoints(settings, folder, inputs))
            _, report = _up_to_the_holdout(settings, folder, inputs, phases, worker)
            if report:
                shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def lacking_holdouts(settings: Settings, day: date) -> list[date]:
    """The earlier days that the ranker of `day` is trained on and whose holdout bundle does not exist yet."""
    folder = settings.training_folder
    return [each for each in settings.training.earlier_days(day) if not (folder / str(each) / HOLDOUT_BUNDLE).exists()]


def _up_to_the_holdout(
    settings: Settings, folder: Path, inputs: RetrievalInputs, phases: TrainingPhases, worker: Worker
) -> tuple[PhaseReport, RetrievalReport | None]:
    """Train; the chief worker also evaluates and writes the holdout bundle."""
    with ThreadPoolExecutor(1) as beside:
        neighbours = beside.submit(_neighbours, settings, inputs, holdout=True) if worker.chief else None
        first = phases.up_to_the_holdout()
        if not neighbours:
            return first, None
        vectors = phases.vectors(holdout=True)
        report = phases.measure(vectors)
        trained = Trained(vectors, report.best_weight, neighbours.result())
        _write(settings, folder / HOLDOUT_BUNDLE, inputs, phases, trained, holdout=True)
    return first, report


def _neighbours(settings: Settings, inputs: RetrievalInputs, *, holdout: bool) -> pa.Table:
    """Linear algebra outside of the GIL, in a thread parallel to the towers and independent of them."""
    day, items = (inputs.holdout_day, inputs.items_before) if holdout else (inputs.day, inputs.items)
    return neighbour_table(inputs.lake, day, items, settings.training)


def _checkpoints(settings: Settings, folder: Path, inputs: RetrievalInputs) -> Callable[[str], Checkpoints]:
    def of_phase(name: str) -> Checkpoints:
        made_of = {
            "settings": settings.training.model_dump(mode="json"),
            "history_length": settings.features.history_length,
            "tables": inputs.lake.versions,
            "code": code_version(),
        }
        return Checkpoints(folder / CHECKPOINTS / name, made_of, settings.training.checkpoint_seconds)

    return of_phase


def _write(
    settings: Settings,
    folder: Path,
    inputs: RetrievalInputs,
    phases: TrainingPhases,
    trained: Trained,
    *,
    holdout: bool,
) -> IndexReport:
    """One sealed bundle in `folder`, written aside and swapped in when it is whole."""
    day = inputs.holdout_day if holdout else inputs.day
    items = inputs.items_before if holdout else inputs.items
    if settings.training.trending_candidates:
        items = with_surprise(items, inputs.lake, day)
    parts = RetrievalParts(
        items=items,
        neighbours=trained.neighbours,
        vocabularies=inputs.vocabularies,
        vectors=trained.vectors,
        prior_weight=trained.prior_weight,
        tower=phases.user_function(trained.vectors),
        sample=inputs.holdout_users.inputs,
    )
    with replacing(folder) as partial:
        index = write_retrieval_files(parts, partial, served=not holdout)
        seal_release(
            partial,
            stage="retrieval",
            as_of=end_of(day),
            code_version=code_version(),
            seed=settings.training.seed,
            tables=dict(inputs.lake.versions),
            settings={
                "features": settings.features.model_dump(mode="json"),
                "training": settings.training.model_dump(mode="json"),
            },
        )
    return index


def _metrics(report: RetrievalReport, phases: list[PhaseReport], index: IndexReport) -> dict[str, Any]:
    return {
        "recall_at_500_all": report.recall_all,
        "recall_at_500_new": report.recall_new,
        "recall_at_500_new_slack": report.new_slack,
        "popularity_recall_at_500_all": report.popular_all,
        "popularity_recall_at_500_new": report.popular_new,
        "recall_at_500_new_by_prior_weight": report.recall_new_by_weight,
        "index": asdict(index),
        "phases": [{**asdict(phase), "examples_per_second": phase.examples_per_second} for phase in phases],
    }


def _train(settings: Settings, day: date) -> None:
    lacking = lacking_holdouts(settings, day)
    if this_worker().workers > 1:  # they train one model after the other, together
        train_retrieval(settings, day)
        train_earlier_holdouts(settings, lacking)
        return
    with side_by_side(partial(train_earlier_holdouts, settings, lacking, quiet=True) if lacking else None):
        train_retrieval(settings, day)


def _print(metrics: dict[str, Any]) -> None:
    for phase in metrics["phases"]:
        speed = phase["examples_per_second"]
        print(f"{phase['name']}: {phase['examples']:,} examples in {phase['seconds']:.1f} s ({speed:,.0f}/s)")
    for task in ("all", "new"):
        ours, popular = metrics[f"recall_at_500_{task}"], metrics[f"popularity_recall_at_500_{task}"]
        print(f"holdout recall@500, {task}: {ours:.4f} (popular list {popular:.4f})")
    print(f"index recall@500: {metrics['index']['recall']:.4f}")


if __name__ == "__main__":
    sys.exit(day_command("models.train_retrieval", (__doc__ or "").split("\n")[0], _train))
