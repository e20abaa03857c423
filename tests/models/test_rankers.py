"""The contract of every ranker and every loss: each learns what was planted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from rich.progress import Progress

from headrace.settings_groups import TrainingSettings
from models.onnx_export import export_function
from models.ranker.examples import RankingExamples, choose_judges
from models.ranker.model import Ranker
from models.ranker.training import RankerReport, score_examples, train_ranker_model
from tests.models.planted_candidates import CARDINALITIES, REFUSED_CATEGORY, planted_examples

EACH_ONCE = [("wide_deep", "softmax"), ("dcn", "log_loss"), ("ncf", "pairwise")]
"""Every architecture and every loss; Wide & Deep with `log_loss` is the default, trained in `test_release`."""


def trained(examples: RankingExamples, **settings: object) -> tuple[Ranker, RankerReport]:
    """A small training on most of the users."""
    training = TrainingSettings(ranker_batch_size=600, ranker_least_steps=80, ranker_learning_rate=0.02, **settings)
    judging = choose_judges(examples, 0.25, training.seed)
    counts = np.full((int(judging.sum()), 2), 5)
    with Progress(disable=True) as progress:
        return train_ranker_model(examples, counts, judging, CARDINALITIES, training, progress)


@pytest.fixture(scope="module", params=EACH_ONCE, ids="-".join)
def ranker(request: pytest.FixtureRequest) -> tuple[Ranker, RankerReport]:
    """One architecture with one loss, trained on the planted candidates."""
    model, loss = request.param
    return trained(planted_examples(), ranker_model=model, ranker_loss=loss)


def test_a_ranker_learns_what_was_planted(ranker: tuple[Ranker, RankerReport]) -> None:
    _, report = ranker
    assert report.probabilities is not None
    assert report.probabilities.auc_per_user > 0.9
    assert report.losses[-1] < report.losses[0]


def test_a_ranker_has_seen_that_a_category_is_never_taken(ranker: tuple[Ranker, RankerReport]) -> None:
    model, _ = ranker
    unseen = planted_examples(seed=6)
    scores = score_examples(model, unseen)
    refused = unseen.categorical[:, :, 0] == REFUSED_CATEGORY
    assert scores[refused].mean() < scores[~refused].mean() - 0.5


def test_serving_gets_the_scores_of_training(ranker: tuple[Ranker, RankerReport], tmp_path: Path) -> None:
    model, _ = ranker
    unseen = planted_examples(users=3, seed=7)
    export_function(model.exported(), tmp_path / "saved", tmp_path / "ranker.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "ranker.onnx"), providers=["CPUExecutionProvider"])
    for user, expected in enumerate(score_examples(model, unseen)):
        inputs = {"numeric": unseen.numeric[user], "categorical": unseen.categorical[user]}
        np.testing.assert_allclose(session.run(["score"], inputs)[0], expected, atol=1e-4)
