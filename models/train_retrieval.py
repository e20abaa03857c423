"""Trains retrieval for one day: `python -m models.train_retrieval --day D`.

Writes two sealed bundles below `<home>/training/<D>/`: `retrieval_holdout`, which knows nothing of the last
`training.holdout_days` (the ranker learns from its candidates), and `retrieval`, trained on over them.

Started on several machines with TensorFlow's `TF_CONFIG`, the processes train one model; the first one writes it.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from rich.progress import Progress

from headrace.release import seal_release
from headrace.settings import Settings
from headrace.tables import GOLD_RANKING_EXAMPLES, GOLD_RETRIEVAL_EXAMPLES, end_of, microseconds
from headrace.user_tower import TowerEncoder
from models.command import day_command, progress_bars, replacing, write_json
from models.gold import Lake
from models.index import IndexReport
from models.item_table import VOCABULARY_COLUMNS, build_vocabularies, item_table
from models.neighbours import neighbour_table
from models.provenance import code_version
from models.retrieval_bundle import RetrievalParts, write_retrieval_files
from models.training_files import FINAL_BUNDLE, HOLDOUT_BUNDLE, RETRIEVAL_METRICS, RETRIEVAL_PARAMETERS
from models.two_tower.holdout import HoldoutUsers, read_holdout
from models.two_tower.item_columns import item_columns
from models.two_tower.model import TwoTower
from models.two_tower.parts import SequenceParts, survey
from models.two_tower.prior import RetrievalReport, choose_weight
from models.two_tower.sequences import ExampleCutter
from models.two_tower.training import Phase, PhaseReport, build_model, train_phase
from models.two_tower.vectors import item_vectors, user_function
from models.workers import this_worker


@dataclass(frozen=True)
class _Inputs:
    """What training reads, of one state of the lake."""

    lake: Lake
    day: date
    holdout_day: date
    items: pa.Table
    items_before: pa.Table
    vocabularies: dict[str, list[str]]
    parts: SequenceParts
    encoder: TowerEncoder
    holdout_users: HoldoutUsers


def train_retrieval(settings: Settings, day: date) -> Path:
    """Train, write both bundles and return the folder that holds them. Raises BadInputError on too little data."""
    folder = settings.training_folder / day.isoformat()
    training = settings.training
    worker = this_worker()
    strategy = worker.strategy()
    with progress_bars() as progress:
        inputs = _read(settings, day, progress)
        before, after = microseconds(end_of(inputs.holdout_day)), microseconds(end_of(day))
        start = before - training.retrieval_days * 86_400_000_000
        seen = survey(inputs.parts, (start, before, after))
        cutter = ExampleCutter(
            settings.features.history_length, training.example_half_life_days, training.repeat_weight
        )
        sizes = tuple(len(inputs.vocabularies[key]) + 1 for key in inputs.encoder.profile_keys)
        columns = item_columns(inputs.items_before, inputs.vocabularies, training)
        with strategy.scope():
            model = build_model(columns, len(inputs.vocabularies["event_types"]), sizes, seen.events[after], training)

        def train(name: str, begin: int, end: int) -> PhaseReport:
            phase = Phase(name, begin, end, seen.examples[begin, end])
            return train_phase(model, cutter, inputs.parts, phase, training, worker, progress)

        first = train("holdout", start, before)
        if worker.chief:
            vectors = item_vectors(model, seen.events[before])
            report = _measure(model, vectors, inputs)
            _write(settings, folder / HOLDOUT_BUNDLE, inputs, model, vectors, report.best_weight, holdout=True)

        model.item_tower.use(item_columns(inputs.items, inputs.vocabularies, training))
        last = train("final", before, after)
        if not worker.chief:
            return folder
        vectors = item_vectors(model, seen.events[after])
        index = _write(settings, folder / FINAL_BUNDLE, inputs, model, vectors, report.best_weight, holdout=False)
    write_json(folder / RETRIEVAL_PARAMETERS, {**training.model_dump(mode="json"), "prior_weight": report.best_weight})
    metrics = _metrics(report, [first, last], index)
    write_json(folder / RETRIEVAL_METRICS, metrics)
    _print(metrics)
    return folder


def _read(settings: Settings, day: date, progress: Progress) -> _Inputs:
    task = progress.add_task("reading gold tables", total=None)
    lake = Lake(settings.lake_root)
    training = settings.training
    holdout_day = day - timedelta(days=training.holdout_days)
    items, items_before = item_table(lake, day), item_table(lake, day, features_of=holdout_day)
    users = training.retrieval_part_users
    vocabularies = build_vocabularies(items, lake.parts(GOLD_RETRIEVAL_EXAMPLES, day, users, VOCABULARY_COLUMNS))
    item_ids = items.column("item_id").to_pylist()
    row_of = {item: row for row, item in enumerate(item_ids)}
    encoder = TowerEncoder(row_of, vocabularies, settings.features.history_length)
    ranking = lake.first(GOLD_RANKING_EXAMPLES, day, training.ranker_users)
    bought = items_before.column("users_total").to_numpy() > 0
    inputs = _Inputs(
        lake=lake,
        day=day,
        holdout_day=holdout_day,
        items=items,
        items_before=items_before,
        vocabularies=vocabularies,
        parts=SequenceParts(lake, day, users, item_ids, vocabularies, encoder),
        encoder=encoder,
        holdout_users=read_holdout(ranking, row_of, bought, encoder),
    )
    progress.update(task, total=1, completed=1)
    return inputs


def _measure(model: TwoTower, vectors: npt.NDArray[np.float32], inputs: _Inputs) -> RetrievalReport:
    users = inputs.holdout_users
    function = user_function(model, vectors, inputs.encoder.history_length, len(inputs.encoder.profile_keys))
    popularity = inputs.items_before.column("trend_popularity").to_numpy()
    recent = inputs.items_before.column("popularity").to_numpy()
    affinity = function.vectors(users.inputs)[:, :-1]
    return choose_weight(affinity, vectors[1:], np.log1p(popularity), np.log1p(recent), users)


def _write(
    settings: Settings,
    folder: Path,
    inputs: _Inputs,
    model: TwoTower,
    vectors: npt.NDArray[np.float32],
    weight: float,
    *,
    holdout: bool,
) -> IndexReport:
    """One sealed bundle in `folder`, written aside and swapped in when it is whole."""
    day = inputs.holdout_day if holdout else inputs.day
    items = inputs.items_before if holdout else inputs.items
    parts = RetrievalParts(
        items=items,
        neighbours=neighbour_table(inputs.lake, day, items, settings.training),
        vocabularies=inputs.vocabularies,
        vectors=vectors,
        prior_weight=weight,
        tower=user_function(model, vectors, inputs.encoder.history_length, len(inputs.encoder.profile_keys)),
        sample=inputs.holdout_users.inputs,
    )
    with replacing(folder) as partial:
        index = write_retrieval_files(parts, partial)
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


def _print(metrics: dict[str, Any]) -> None:
    for phase in metrics["phases"]:
        speed = phase["examples_per_second"]
        print(f"{phase['name']}: {phase['examples']:,} examples in {phase['seconds']:.1f} s ({speed:,.0f}/s)")
    for task in ("all", "new"):
        ours, popular = metrics[f"recall_at_500_{task}"], metrics[f"popularity_recall_at_500_{task}"]
        print(f"holdout recall@500, {task}: {ours:.4f} (popular list {popular:.4f})")
    print(f"index recall@500: {metrics['index']['recall']:.4f}")


if __name__ == "__main__":
    sys.exit(day_command("models.train_retrieval", (__doc__ or "").split("\n")[0], train_retrieval))
