"""Trains the ranker for one day: `python -m models.train_ranker --day D`.

Reads `<home>/training/<D>/ranking_candidates.parquet`, written by `python -m serving.offline candidates` from the
holdout bundle, and writes `<home>/training/<D>/ranker_backtest/`, which is trained on earlier holdouts and evaluated on
this one, and `ranker/`, which is trained on all.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict
from datetime import date
from pathlib import Path

import numpy as np

from headrace.features.ranking import CATEGORICAL, NUMERIC
from headrace.release import bundle as release
from headrace.release.code_version import code_version
from headrace.settings import Settings
from models.metrics.resampling import slack
from models.ranker.committee import Committee
from models.ranker.examples.training_data import RankingData, read_ranking_data
from models.ranker.export import export_ranker
from models.ranker.int8 import LEAST_OVERLAP, Floats, Int8Report, add_int8, onnx_scores, top_overlap
from models.ranker.training import RankerReport, train_ranker_model, train_served
from models.ranker.trees.boosting import trees_beside
from models.training.checkpoints import Checkpoints
from models.training.command import day_command, progress_bars, replacing, write_json
from models.training.files import (
    BACKTEST_RANKER_FOLDER,
    CANDIDATES,
    CHECKPOINTS,
    RANKER_FOLDER,
    RANKER_METRICS,
    RANKER_PARAMETERS,
)


def train_ranker(settings: Settings, day: date) -> Path:
    """Train, evaluate on validation users, train again on all lists; write both rankers and return the second's folder.

    Raises BadInputError if the candidates are missing or too few.
    """
    folder = settings.training_folder / day.isoformat()
    training = settings.training
    ranking_data = read_ranking_data(settings, day)
    inputs = {"code": code_version()}
    for each in (day, *ranking_data.earlier):
        with (settings.training_folder / each.isoformat() / CANDIDATES).open("rb") as stream:
            inputs[f"candidates of {each}"] = hashlib.file_digest(stream, "sha256").hexdigest()
    inputs["settings"] = training.model_dump_json()
    checkpoints = Checkpoints(folder / CHECKPOINTS / "ranker", inputs, training.checkpoint_seconds)
    with progress_bars() as progress:
        backtest_ranker, report = train_ranker_model(ranking_data, training, progress, checkpoints)
        trees = trees_beside(ranking_data.everyone, training, progress)  # fitted while the backtest ranker is written
        report.int8, of_backtest = _write(backtest_ranker, ranking_data, folder / BACKTEST_RANKER_FOLDER, served=False)
        served = train_served(ranking_data, training, progress, backtest_ranker, trees)
    _, of_served = _write(served, ranking_data, folder / RANKER_FOLDER, served=True)
    report.learned_until = str(max(ranking_data.earlier, default=day))
    overlaps = top_overlap(of_backtest, of_served, ranking_data.validation_users.present)
    report.served_overlap = float(overlaps.mean())
    report.served_overlap_slack = slack(overlaps, np.zeros_like(overlaps))
    write_json(folder / RANKER_PARAMETERS, training.model_dump(mode="json"))
    write_json(folder / RANKER_METRICS, asdict(report))
    _print(report)
    return folder / RANKER_FOLDER


def _write(model: Committee, ranking_data: RankingData, folder: Path, *, served: bool) -> tuple[Int8Report, Floats]:
    """The ranker's files; the effect of int8 weights, and the scores of the validation users [users, candidates]."""
    validation_users = ranking_data.validation_users
    with replacing(folder) as partial:
        onnx = partial / release.RANKER
        export_ranker(model, partial / release.RANKER_SAVED_MODEL if served else None, onnx)
        schema = {"numeric": list(NUMERIC), "categorical": list(CATEGORICAL), "calibration": asdict(model.platt)}
        (partial / release.RANKER_SCHEMA).write_text(json.dumps(schema, indent=1), encoding="utf-8")
        scores = onnx_scores(onnx, validation_users)
        return add_int8(
            onnx, partial / release.RANKER_INT8, validation_users, ranking_data.validation_counts, scores
        ), scores


def _print(report: RankerReport) -> None:
    days = f"of the holdout up to {', '.join(report.earlier_days)}" if report.earlier_days else "of the same weeks"
    lists = f"{report.users} training lists {days}, {report.validation_users} validation lists"
    print(f"ranker: {lists}, {report.seconds:.1f} s")
    for epoch, (loss, of_all, of_new) in enumerate(
        zip(report.losses, report.ndcg_all, report.ndcg_new, strict=False), start=1
    ):
        print(f"epoch {epoch}: loss {loss:.4f}, nDCG@20 all {of_all:.4f}, new {of_new:.4f}")
    if len(report.ndcg_all) > len(report.losses):
        print(f"with trees: nDCG@20 all {report.ndcg_all[-1]:.4f}, new {report.ndcg_new[-1]:.4f}")
    if report.probabilities:
        found = report.probabilities
        print(f"AUC {found.auc:.4f}, inside users {found.auc_per_user:.4f}")
        before = report.calibration_error_before
        print(f"calibration error {found.calibration_error:.4f}, before calibration {before:.4f}")
    if report.int8:
        note = "" if report.int8.kept else f", below {LEAST_OVERLAP}: the release gets no int8 ranker"
        print(f"int8: {report.int8.top_20_overlap:.4f} of the first 20 positions as with float weights{note}")
    near = f"{report.served_overlap:.4f} (± {report.served_overlap_slack:.4f})"
    print(f"served: {near} of the first 20 positions as validated")
    print(f"personal frequency on the same users: nDCG@20 all {report.personal_frequency_ndcg_all:.4f}")


if __name__ == "__main__":
    sys.exit(day_command("models.train_ranker", (__doc__ or "").split("\n")[0], train_ranker))
