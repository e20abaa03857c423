"""Boosted trees in a ranker: learned, blended, and the same in TensorFlow and in serving."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from rich.progress import Progress

from headrace.features.ranking import NUMERIC
from headrace.settings.jobs import TrainingSettings
from models.ranker.committee import Committee
from models.ranker.examples.training_data import RankingData
from models.ranker.export import export_ranker
from models.ranker.int8 import onnx_scores
from models.ranker.training import RankerReport, score_examples, train_ranker_model, train_served
from models.ranker.trees.boosting import Trees, fit_trees, trees_beside
from tests.models.planted_candidates import in_one_holdout, planted_examples, shown_examples

TOWER, PRICE = NUMERIC.index("tower_score"), NUMERIC.index("price")
QUIET = Progress(disable=True)
TRAINING = TrainingSettings(ranker_trees=40, ranker_trees_rate=0.3, ranker_least_steps=20)


@pytest.fixture(scope="module")
def in_a_band() -> RankingData:
    """Taken is what the tower scores neither low nor high: no slope says it."""
    examples = planted_examples(users=200)
    tower = examples.numeric[:, :, TOWER]
    examples.taken[:] = (tower > 0.2) & (tower < 0.9) & examples.present
    return in_one_holdout(examples)


@pytest.fixture(scope="module")
def blended(in_a_band: RankingData) -> tuple[Committee, RankerReport]:
    """Members that had few steps, and trees."""
    return train_ranker_model(in_a_band, TRAINING, QUIET)


def test_trees_find_a_band_that_the_members_miss(blended: tuple[Committee, RankerReport]) -> None:
    _, report = blended
    *members, with_trees = report.ndcg_all
    assert len(members) == len(report.losses)
    assert with_trees > members[-1] + 0.1


def test_a_blend_is_served_as_tensorflow_computes_it(blended: tuple[Committee, RankerReport], tmp_path: Path) -> None:
    model, _ = blended
    unseen = planted_examples(users=12, seed=7)
    expected = model.platt.log_odds(score_examples(model, unseen))[unseen.present]
    export_ranker(model, tmp_path / "saved", tmp_path / "ranker.onnx")
    np.testing.assert_allclose(onnx_scores(tmp_path / "ranker.onnx", unseen)[unseen.present], expected, atol=1e-4)
    saved = tf.saved_model.load(str(tmp_path / "saved")).signatures["serving_default"]
    found = saved(numeric=unseen.numeric[unseen.present], categorical=unseen.categorical[unseen.present])["score"]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


def test_the_same_candidates_make_the_same_trees(in_a_band: RankingData) -> None:
    one, other = (fit_trees(in_a_band.everyone, TRAINING, QUIET) for _ in range(2))
    for name in Trees.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_trees_that_grow_beside_other_work_are_the_same(in_a_band: RankingData) -> None:
    to_come = trees_beside(in_a_band.everyone, TRAINING, QUIET)
    here, there = fit_trees(in_a_band.everyone, TRAINING, QUIET), to_come()
    np.testing.assert_array_equal(here.values, there.values if there else [])
    assert trees_beside(in_a_band.everyone, TRAINING.model_copy(update={"ranker_trees": 0}), QUIET)() is None


def test_forests_of_other_samples_count_by_their_mean(in_a_band: RankingData) -> None:
    def score(**settings: int) -> npt.NDArray[np.float32]:
        trees = fit_trees(in_a_band.everyone, TRAINING.model_copy(update=settings), QUIET)
        return np.asarray(trees.score(in_a_band.validation_users.numeric.reshape(-1, len(NUMERIC))))

    first, second = (score(ranker_forests=1, seed=seed) for seed in (7, 8))
    assert np.abs(first - second).max() > 0.1
    np.testing.assert_allclose(score(ranker_forests=2, seed=7), (first + second) / 2, atol=1e-5)


def test_of_many_refused_candidates_a_few_stand_for_all(
    in_a_band: RankingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def likely() -> float:
        scores = fit_trees(in_a_band.everyone, TRAINING, QUIET).score(
            in_a_band.validation_users.numeric.reshape(-1, len(NUMERIC))
        )
        return float(np.mean(scores))

    every = likely()
    refused = int((in_a_band.everyone.present & (in_a_band.everyone.taken == 0)).sum())
    monkeypatch.setattr("models.ranker.trees.boosting._REFUSED", refused // 4)
    assert likely() == pytest.approx(every, abs=0.3)  # unweighted it would be log 4 more: 1.4


def test_what_is_served_is_trained_on_the_validation_users_too(in_a_band: RankingData) -> None:
    validated, _ = train_ranker_model(in_a_band, TRAINING, QUIET)
    served = train_served(in_a_band, TRAINING, QUIET, validated)
    assert served.platt == validated.platt
    assert (
        np.abs(
            score_examples(served, in_a_band.validation_users) - score_examples(validated, in_a_band.validation_users)
        ).max()
        > 0.01
    )


def test_trees_learn_the_position_bias_separately() -> None:
    def price_says(**settings: object) -> float:
        training = TrainingSettings(ranker_trees=60, ranker_trees_rate=0.2, ranker_new_weight=0, **settings)
        trees = fit_trees(shown_examples(), training, QUIET)
        unseen = shown_examples(seed=8, biased=False).numeric.reshape(-1, len(NUMERIC))
        return float(np.corrcoef(unseen[:, PRICE], trees.score(unseen).numpy())[0, 1])

    fooled = price_says()
    assert fooled > 0.08
    assert abs(price_says(ranker_positions=True)) < fooled / 2
    assert abs(price_says(ranker_most_propensity_weight=50)) < 0.85 * fooled
