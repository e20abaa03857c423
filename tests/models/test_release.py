"""The ranker and the release made of the planted world, and what keeps a bad one from going live."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from headrace.errors import BadInputError, ReleaseError, ServiceError
from headrace.ranking_features import CATEGORICAL, NUMERIC
from headrace.release import open_release
from models.build_release import build_release
from models.command import day_command
from models.gates import release_gates
from models.train_ranker import train_ranker
from tests.models.conftest import Trained, settings_in
from tests.models.planted_world import DAY


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


def test_a_release_below_the_popular_list_is_refused_and_the_champion_stays(release, ranker: Trained):
    import mlflow

    path = ranker.folder / "retrieval_metrics.json"
    good = path.read_text()
    path.write_text(json.dumps({**json.loads(good), "recall_at_500_new": 0.01}))
    try:
        with pytest.raises(ReleaseError, match="not promoted: two-tower recall@500"):
            build_release(ranker.settings, DAY)
    finally:
        path.write_text(good)
    client = mlflow.MlflowClient(ranker.settings.mlflow.tracking_uri)
    assert client.get_model_version_by_alias("headrace", "champion").tags["release_id"] == release.release_id


def test_without_mlflow_the_bundle_stays_and_the_error_says_what_to_start(ranker: Trained):
    settings = ranker.settings.model_copy(update={"mlflow": ranker.settings.mlflow.model_copy()})
    settings.mlflow.tracking_uri = "http://127.0.0.1:9"
    with pytest.raises(ServiceError, match=r"127\.0\.0\.1:9 does not answer.*headrace up.*bundle is complete"):
        build_release(settings, DAY)


def test_a_training_that_is_missing_is_named(tmp_path: Path):
    with pytest.raises(ReleaseError, match="holds no release"):
        build_release(settings_in(tmp_path), DAY)
    with pytest.raises(BadInputError, match=r"ranking_candidates.parquet: no candidates"):
        train_ranker(settings_in(tmp_path), DAY)


def test_commands_end_with_one_sentence_and_code_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("models.command.load_settings", lambda: settings_in(tmp_path))
    assert day_command("models.train_ranker", "", train_ranker, ["--day", "2026-10-18"]) == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_number_that_is_none_fails_its_gate():
    popular = {"popularity_recall_at_500_new": 0.1, "recall_at_500_new_slack": 0.01}
    retrieval = {"recall_at_500_new": float("nan"), **popular, "index": {"recall": 1.0}}
    ranker = {"personal_frequency_ndcg_all": 0.4, "ndcg_all": [0.39], "ndcg_all_slack": 0.001}
    gates = release_gates(retrieval, ranker)
    assert [gate.passed for gate in gates] == [False, True, True]
    assert not replace(gates[2], measured=0.37).passed
    assert replace(gates[2], measured=0.37, slack=0.02).passed  # so few users that chance explains it
