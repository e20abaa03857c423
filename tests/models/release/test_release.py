"""The ranker and the release made of the planted world, and what keeps a bad one from going live."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from headrace.errors import BadInputError, HeadraceError, ReleaseError, ServiceError
from headrace.features.ranking import CATEGORICAL, NUMERIC, OF_USER
from headrace.release.bundle import open_release
from models.build_release import build_release
from models.gate.floors import release_gates
from models.gate.submission import pending, submit_pending
from models.release.backtest import require_forward
from models.train_ranker import train_ranker
from models.training.command import day_command
from tests.models.conftest import Trained, settings_in
from tests.models.planted_world import DAY, HOLDOUT_DAY
from tests.small_release import linear_ranker


@pytest.fixture(scope="session")
def release(ranker: Trained, monkeypatch_session: pytest.MonkeyPatch):
    """The champion of the planted world."""
    monkeypatch_session.chdir(ranker.folder)  # MLflow keeps artifacts of a file registry in the working folder
    return build_release(ranker.settings, DAY)


@pytest.fixture(scope="session")
def monkeypatch_session():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_the_ranker_beats_personal_frequency_on_users_it_did_not_see(ranker: Trained):
    metrics = json.loads((ranker.folder / "ranker_metrics.json").read_text())
    assert metrics["ndcg_all"][-1] > metrics["personal_frequency_ndcg_all"]
    assert metrics["probabilities"]["auc_per_user"] > 0.6
    assert metrics["probabilities"]["calibration_error"] < 0.1


def test_onnx_and_saved_model_score_and_order_candidates_alike(ranker: Trained):
    import tensorflow as tf

    random = np.random.default_rng(1)
    numeric = random.normal(0, 2, (300, len(NUMERIC))).astype(np.float32)
    numeric[:, OF_USER] = numeric[0, OF_USER]  # one user's candidates
    categorical = np.zeros((300, len(CATEGORICAL)), np.int32)
    categorical[:, 0] = random.integers(0, 13, 300)
    folder = ranker.folder / "ranker"
    session = onnxruntime.InferenceSession(str(folder / "ranker.onnx"), providers=["CPUExecutionProvider"])
    assert [node.name for node in session.get_inputs()] == ["numeric", "categorical"]
    onnx = session.run(["score"], {"numeric": numeric, "categorical": categorical})[0]
    saved = tf.saved_model.load(str(folder / "ranker")).signatures["serving_default"]
    keras = saved(numeric=tf.constant(numeric), categorical=tf.constant(categorical))["score"].numpy()
    np.testing.assert_allclose(onnx, keras, atol=1e-4)
    assert np.argsort(-onnx, kind="stable")[:50].tolist() == np.argsort(-keras, kind="stable")[:50].tolist()


def test_the_ranker_names_the_features_it_was_trained_on(ranker: Trained):
    schema = json.loads((ranker.folder / "ranker" / "ranker_schema.json").read_text())
    assert (schema["numeric"], schema["categorical"]) == (list(NUMERIC), list(CATEGORICAL))


def test_the_release_is_whole_registered_and_champion(release, ranker: Trained):
    import mlflow

    opened = open_release(release.folder)
    assert opened.manifest.stage == "full"
    assert opened.folder.name == opened.release_id
    client = mlflow.MlflowClient(ranker.settings.mlflow.tracking_uri)
    version = client.get_model_version_by_alias("headrace", "champion")
    assert version.tags["release_id"] == release.release_id
    runs = client.search_runs([client.get_experiment_by_name("headrace").experiment_id])
    assert {run.info.run_name for run in runs} == {release.release_id, "retrieval", "ranker"}
    parent = next(run for run in runs if run.info.run_name == release.release_id)
    assert parent.data.metrics["retrieval.recall_at_500_new"] > 0
    assert parent.data.params["table.gold/retrieval_examples"] == "0"
    names = {file.path for file in client.list_artifacts(parent.info.run_id, "release")}
    assert "release/manifest.json" in names


@contextmanager
def metrics_with(ranker: Trained, **values: object) -> Iterator[None]:
    """The retrieval's measurements changed for a while: another release of the same training."""
    path = ranker.folder / "retrieval_metrics.json"
    good = path.read_text()
    path.write_text(json.dumps({**json.loads(good), **values}))
    try:
        yield
    finally:
        path.write_text(good)


def registered(ranker: Trained, alias: str) -> Any:
    """The version that the alias names."""
    import mlflow

    return mlflow.MlflowClient(ranker.settings.mlflow.tracking_uri).get_model_version_by_alias("headrace", alias)


def test_a_release_below_the_popular_list_is_refused_and_the_champion_stays(release, ranker: Trained):
    refused = pytest.raises(ReleaseError, match="not promoted: two-tower recall@500")
    with metrics_with(ranker, recall_at_500_new=0.01), refused:
        build_release(ranker.settings, DAY)
    assert registered(ranker, "champion").tags["release_id"] == release.release_id


def test_the_first_release_has_a_card_with_its_quality_on_users_that_trained_no_ranker(release, ranker: Trained):
    card = ranker.settings.reports / "releases" / release.release_id
    decision = json.loads((card / "decision.json").read_text())
    assert (decision["outcome"], decision["champion"]) == ("promoted", None)
    text = (card / "model_card.md").read_text()
    for said in (
        "## Whole-catalogue quality",
        "light users",
        "tensorflow",
        "ranker_learning_rate",
        "gold/item_features",
    ):
        assert said in text
    shown = {line.split("(")[1].rstrip(")") for line in text.splitlines() if line.startswith("![")}
    assert shown == {"quality.png", "popularity_bias.png", "calibration.png", "curves.png"}
    assert all((card / name).read_bytes().startswith(b"\x89PNG") for name in shown)


def test_the_same_release_again_changes_nothing_and_one_that_is_no_better_waits_as_challenger(release, ranker: Trained):
    before = registered(ranker, "champion").version
    assert build_release(ranker.settings, DAY).release_id == release.release_id
    shutil.rmtree(ranker.settings.backtests)  # another machine: the champion's is brought from its run
    with metrics_with(ranker, note=1):
        equal = build_release(ranker.settings, DAY)
    assert registered(ranker, "champion").version == before
    challenger = registered(ranker, "challenger")
    assert challenger.tags["release_id"] == equal.release_id
    assert challenger.tags["decided_by"] == "no guardrail is better"
    decision = json.loads((ranker.settings.reports / "releases" / equal.release_id / "decision.json").read_text())
    of_all = next(each for each in decision["guardrails"] if each["name"] == "quality, nDCG@20 of task all")
    assert of_all["champion"] == of_all["challenger"] > 0.05
    assert "+0.0% (+0.0% to +0.0%) over 240 validation users" in of_all["why"]


def test_a_ranker_that_fails_on_the_validation_users_is_refused_although_its_training_measured_well(
    release, ranker: Trained
):
    path = ranker.folder / "ranker_backtest" / "ranker.onnx"
    good = path.read_bytes()
    onnx.save_model(linear_ranker({"own_decayed_count": -1.0, "tower_score": -1.0}), str(path))
    try:
        worse = pytest.raises(ReleaseError, match=r"not promoted: quality, nDCG@20 of task all is worse: -\d+")
        with metrics_with(ranker, note=3), worse:
            build_release(ranker.settings, DAY)
    finally:
        path.write_bytes(good)
    assert registered(ranker, "champion").tags["release_id"] == release.release_id


def test_a_backtest_is_refused_if_its_ranker_learned_from_the_weeks_it_is_judged_on(release, ranker: Trained):
    backtest = open_release(ranker.settings.backtests / release.release_id)
    require_forward(backtest, HOLDOUT_DAY)
    with pytest.raises(HeadraceError, match=f"backtest of {release.release_id} was not trained on earlier holdouts"):
        require_forward(backtest, HOLDOUT_DAY - timedelta(days=1))


def test_what_cannot_be_compared_with_the_champion_is_kept_and_not_promoted(release, ranker: Trained):
    settings = ranker.settings
    run = registered(ranker, "champion").run_id
    (stored,) = ranker.folder.glob(f"mlruns/*/{run}/artifacts/backtest")
    shutil.rmtree(settings.backtests)
    aside = stored.rename(ranker.folder / "aside")
    try:
        with metrics_with(ranker, note=4):
            kept = build_release(settings, DAY)
    finally:
        aside.rename(stored)
    assert registered(ranker, "champion").tags["release_id"] == release.release_id
    challenger = registered(ranker, "challenger")
    assert challenger.tags["release_id"] == kept.release_id
    assert "has no backtest bundle; `headrace release promote` accepts it" in challenger.tags["decided_by"]


def test_a_comparison_that_is_killed_and_an_mlflow_that_is_away_leave_the_release_pending(
    release, ranker: Trained, monkeypatch: pytest.MonkeyPatch
):
    killed = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    with monkeypatch.context() as patch, metrics_with(ranker, note=2):
        patch.setattr("models.gate.champion_challenger.module_command", lambda *_: killed)
        with pytest.raises(HeadraceError, match=r"comparison with the champion was killed \(SIGKILL\)"):
            build_release(ranker.settings, DAY)
    assert len(pending(ranker.settings)) == 1
    assert registered(ranker, "champion").tags["release_id"] == release.release_id
    settings = ranker.settings.model_copy(update={"mlflow": ranker.settings.mlflow.model_copy()})
    settings.mlflow.tracking_uri = "http://127.0.0.1:9"
    away = pytest.raises(ServiceError, match=r"127\.0\.0\.1:9 is not reachable.*headrace up.*bundle is complete")
    with metrics_with(ranker, note=2), away:
        build_release(settings, DAY)
    (waiting,) = pending(settings)
    assert submit_pending(ranker.settings) == 1
    assert registered(ranker, "challenger").tags["release_id"] == waiting.release_id
    assert pending(settings) == []


def test_a_training_that_is_missing_is_named(tmp_path: Path):
    with pytest.raises(ReleaseError, match="holds no release"):
        build_release(settings_in(tmp_path), DAY)
    with pytest.raises(BadInputError, match=r"ranking_candidates.parquet: no candidates"):
        train_ranker(settings_in(tmp_path), DAY)


def test_commands_end_with_one_sentence_and_code_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("models.training.command.load_settings", lambda: settings_in(tmp_path))
    assert day_command("models.train_ranker", "", train_ranker, ["--day", "2026-10-18"]) == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_number_that_is_none_fails_its_gate():
    popular = {"popularity_recall_at_500_new": 0.1, "recall_at_500_new_slack": 0.01}
    retrieval = {"recall_at_500_new": float("nan"), **popular, "index": {"recall": 1.0}}
    ranker = {"personal_frequency_ndcg_all": 0.4, "ndcg_all": [0.39], "ndcg_all_slack": 0.001, "served_overlap": 0.9}
    gates = release_gates(retrieval, ranker)
    assert [gate.passed for gate in gates] == [False, True, True, True]
    assert not replace(gates[2], measured=0.37).passed
    assert replace(gates[2], measured=0.37, slack=0.02).passed  # so few users that chance explains it
    assert not replace(gates[3], measured=0.5).passed  # the served ranker differs from the validated one
