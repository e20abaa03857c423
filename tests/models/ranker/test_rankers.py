"""The contract of every ranker and every loss: each learns what was planted."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from rich.progress import Progress, TaskID

from headrace.errors import BadInputError
from headrace.features.ranking import CATEGORICAL, NUMERIC, OF_USER
from headrace.release.catalogue import ITEM_FEATURES
from headrace.settings.jobs import TrainingSettings
from headrace.user_sample import hash_fractions, sample_of
from models.ranker.calibration import fit_platt
from models.ranker.committee import Committee
from models.ranker.examples.candidate_files import open_candidates
from models.ranker.examples.examples import RankingExamples
from models.ranker.examples.exposure import inverse_propensities
from models.ranker.export import export_ranker, write_ranker_onnx
from models.ranker.int8 import LEAST_OVERLAP, add_int8, onnx_scores, top_overlap, write_int8
from models.ranker.networks.dcn import DeepAndCross
from models.ranker.networks.losses import RankingLoss
from models.ranker.networks.model import EMBEDDING
from models.ranker.networks.neural_cf import NeuralCf
from models.ranker.networks.split_first_layer import split_first_layer
from models.ranker.networks.wide_deep import WideAndDeep
from models.ranker.training import RankerReport, score_examples, train_ranker_model
from models.ranker.validation import validate
from models.training.checkpoints import Checkpoints
from tests.models.planted_candidates import REFUSED_CATEGORY, in_one_holdout, planted_examples, shown_examples

EACH_ONCE = [("wide_deep", "softmax"), ("dcn", "log_loss"), ("ncf", "pairwise")]
"""Every architecture and every loss; DCN with `softmax` is the default, trained in `test_release`."""


def trained(
    examples: RankingExamples, *, checkpoints: Checkpoints | None = None, killed_at: int = 0, **settings: object
) -> tuple[Committee, RankerReport]:
    """A small training on most of the users."""
    usual = {"ranker_batch_size": 600, "ranker_least_steps": 80, "ranker_learning_rate": 0.02, "ranker_trees": 0}
    training = TrainingSettings(**{**usual, **settings})
    with KilledAt(killed_at) as progress:
        return train_ranker_model(in_one_holdout(examples), training, progress, checkpoints)


class KilledAt(Progress):
    """Shows nothing, and ends the training after so many steps."""

    def __init__(self, steps: int) -> None:
        super().__init__(disable=True)
        self._left = steps

    def advance(self, task_id: TaskID, advance: float = 1) -> None:  # noqa: ARG002
        """One step is done."""
        self._left -= 1
        if self._left == 0:
            raise KeyboardInterrupt


@pytest.fixture(scope="module", params=EACH_ONCE, ids="-".join)
def ranker(request: pytest.FixtureRequest) -> tuple[Committee, RankerReport]:
    """One architecture with one loss, trained on the planted candidates."""
    model, loss = request.param
    return trained(planted_examples(), ranker_model=model, ranker_loss=loss)


def test_a_ranker_learns_what_was_planted(ranker: tuple[Committee, RankerReport]) -> None:
    _, report = ranker
    assert report.probabilities is not None
    assert report.probabilities.auc_per_user > 0.9
    assert report.losses[-1] < report.losses[0]


def test_a_score_is_the_mean_of_members_that_started_differently(ranker: tuple[Committee, RankerReport]) -> None:
    model, _ = ranker
    examples = planted_examples(users=3, seed=5)
    inputs = examples.numeric.reshape(-1, len(NUMERIC)), examples.categorical.reshape(-1, len(CATEGORICAL))
    one, other = (member(inputs).numpy() for member in model.members)
    assert np.abs(one - other).max() > 0.1
    assert np.allclose(model.score(*inputs).numpy(), (one + other) / 2, atol=1e-5)


def test_a_ranker_has_seen_that_a_category_is_never_taken(ranker: tuple[Committee, RankerReport]) -> None:
    model, _ = ranker
    unseen = planted_examples(seed=6)
    scores = score_examples(model, unseen)
    refused = unseen.categorical[:, :, 0] == REFUSED_CATEGORY
    assert scores[refused].mean() < scores[~refused].mean() - 0.5


def test_scores_are_served_as_probabilities_in_the_order_that_was_learned(
    ranker: tuple[Committee, RankerReport],
) -> None:
    model, report = ranker
    assert report.probabilities is not None
    assert report.probabilities.calibration_error < min(0.05, report.calibration_error_before + 0.005)
    unseen = planted_examples(seed=8)
    scores = score_examples(model, unseen)
    served = model.platt.log_odds(scores)
    assert (np.argsort(-served, axis=1) == np.argsort(-scores, axis=1)).all()
    share = unseen.taken[unseen.present].mean()
    np.testing.assert_allclose((1 / (1 + np.exp(-served)))[unseen.present].mean(), share, atol=0.03)


def test_serving_gets_the_scores_of_training(ranker: tuple[Committee, RankerReport], tmp_path: Path) -> None:
    model, _ = ranker
    unseen = planted_examples(users=3, seed=7)
    export_ranker(model, tmp_path / "saved", tmp_path / "ranker.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "ranker.onnx"), providers=["CPUExecutionProvider"])
    for user, expected in enumerate(model.platt.log_odds(score_examples(model, unseen))):
        inputs = {"numeric": unseen.numeric[user], "categorical": unseen.categorical[user]}
        np.testing.assert_allclose(session.run(["score"], inputs)[0], expected, atol=1e-4)


def test_the_users_part_of_the_first_layer_is_computed_once_for_all_candidates() -> None:
    layer = tf.keras.layers.Dense(4, bias_initializer="ones")
    inputs = planted_examples(users=1).numeric[0]
    expected = layer(inputs).numpy()
    inputs[1:, OF_USER] = np.nan  # they are read of the first candidate only
    np.testing.assert_allclose(split_first_layer(layer, inputs).numpy(), expected, atol=1e-5)


def test_what_is_served_has_split_first_layers(ranker: tuple[Committee, RankerReport], tmp_path: Path) -> None:
    model, _ = ranker
    write_ranker_onnx(model, tmp_path / "ranker.onnx")
    served = Counter(tuple(each.dims) for each in onnx.load(str(tmp_path / "ranker.onnx")).graph.initializer)
    of_user, width = OF_USER.stop - OF_USER.start, len(NUMERIC) + EMBEDDING * len(CATEGORICAL)
    layers = {
        DeepAndCross: [(width, width), (width, 64)],
        WideAndDeep: [(width, 128)],
        NeuralCf: [(len(NUMERIC) - len(ITEM_FEATURES), 32)],
    }
    for member in model.members:
        for inputs, size in layers[type(member)]:
            served.subtract([(of_user, size), (inputs - of_user, size)])
    assert min(served.values()) >= 0


def test_eight_bits_order_candidates_as_floats_do(ranker: tuple[Committee, RankerReport], tmp_path: Path) -> None:
    model, _ = ranker
    unseen = planted_examples(users=30, seed=9)
    floats, int8 = tmp_path / "ranker.onnx", tmp_path / "int8.onnx"
    write_ranker_onnx(model, floats)
    report = add_int8(floats, int8, unseen, np.full((len(unseen), 2), 5), onnx_scores(floats, unseen))
    assert report.kept
    assert report.ndcg_all > validate(onnx_scores(floats, unseen), unseen, np.full((len(unseen), 2), 5)).ndcg_all - 0.01
    assert int8.stat().st_size < floats.stat().st_size
    first = int8.read_bytes()
    write_int8(floats, int8)
    assert int8.read_bytes() == first


def test_lists_that_eight_bits_would_change_are_noticed() -> None:
    examples = planted_examples(users=30)
    scores = np.random.default_rng(4).normal(size=examples.present.shape).astype(np.float32)
    assert top_overlap(scores, 2 * scores + 1, examples.present).min() == 1
    assert top_overlap(scores, -scores, examples.present).mean() < LEAST_OVERLAP


def price_says(model: Committee) -> float:
    """Correlation of the scores with the price, which says nothing about what is liked."""
    unseen = shown_examples(seed=8, biased=False)
    price = unseen.numeric[:, :, NUMERIC.index("price")]
    return float(np.corrcoef(price.ravel(), score_examples(model, unseen).ravel())[0, 1])


def test_what_was_shown_first_looks_less_liked_where_positions_or_propensities_are_known() -> None:
    examples = shown_examples(users=600)
    settings = {"ranker_model": "wide_deep", "ranker_loss": "log_loss", "ranker_members": 1, "ranker_new_weight": 0.0}
    fooled = price_says(trained(examples, **settings)[0])
    by_position = price_says(trained(examples, ranker_positions=True, **settings)[0])
    by_propensity = price_says(trained(examples, ranker_most_propensity_weight=50, **settings)[0])
    assert fooled > 0.3
    assert abs(by_position) < fooled / 2
    assert abs(by_propensity) < fooled / 2


def test_a_rare_impression_that_was_taken_counts_for_those_that_were_not_shown() -> None:
    taken, positions = np.array([[True, True, True, False]]), np.array([[1, 2, 0, 3]], np.int32)
    weights = inverse_propensities(taken, positions, np.array([[0.5, 0.01, 0.1, 0.1]], np.float32), most=10)
    assert weights.tolist() == [[2, 10, 1, 1]]  # what was not shown, or not taken, weighs 1
    labels = np.stack([taken, np.zeros_like(taken), np.ones_like(taken), weights], axis=-1).astype(np.float32)
    loss = RankingLoss("softmax", 0.0)(labels, np.zeros((1, 4), np.float32))
    np.testing.assert_allclose(loss, np.log(4), rtol=1e-6)
    scores = np.array([[1, 0, 0, 0]], np.float32)
    shares = scores - np.log(np.exp(scores).sum())
    expected = -(2 * shares[0, 0] + 10 * shares[0, 1] + shares[0, 2]) / 13
    np.testing.assert_allclose(RankingLoss("softmax", 0.0)(labels, scores), expected, rtol=1e-6)


def test_what_is_bought_of_what_is_taken_is_learned_as_well_with_the_weight_that_is_stated() -> None:
    _, report = trained(shown_examples(biased=False), ranker_model="dcn", ranker_purchase_weight=1.0)
    assert report.outcome_auc.keys() == {"purchase"}
    assert report.outcome_auc["purchase"] > 0.8
    assert report.probabilities is not None
    assert report.probabilities.auc_per_user > 0.7


def test_a_training_that_was_killed_resumes_to_the_same_ranker(tmp_path: Path) -> None:
    examples = planted_examples(users=48)
    settings = {"ranker_model": "ncf", "ranker_batch_size": 300, "ranker_least_steps": 12}
    whole, report = trained(examples, **settings)
    checkpoints = Checkpoints(tmp_path / "saved", {"data": "this"}, every_seconds=0)
    with pytest.raises(KeyboardInterrupt):
        trained(examples, checkpoints=checkpoints, killed_at=8, **settings)
    with pytest.raises(KeyboardInterrupt):  # eight steps were saved: two more of twelve
        trained(examples, checkpoints=checkpoints, killed_at=2, **settings)
    resumed, after = trained(examples, checkpoints=checkpoints, **settings)
    assert (after.losses, after.ndcg_all) == (report.losses, report.ndcg_all)
    np.testing.assert_array_equal(score_examples(resumed, examples), score_examples(whole, examples))
    assert not checkpoints.folder.exists()


def test_another_training_does_not_take_up_what_was_left(tmp_path: Path) -> None:
    examples = planted_examples(users=48)
    settings = {"ranker_model": "ncf", "ranker_batch_size": 300, "ranker_least_steps": 12}
    this, that = (Checkpoints(tmp_path / "left", {"data": name}, every_seconds=0) for name in ("this", "that"))
    with pytest.raises(KeyboardInterrupt):
        trained(examples, checkpoints=this, killed_at=4, **settings)
    with pytest.raises(KeyboardInterrupt):  # from step 0: after four saved steps only eight would be left
        trained(examples, checkpoints=that, killed_at=11, **settings)


def test_calibration_finds_slope_and_offset_and_never_turns_the_order_round() -> None:
    random = np.random.default_rng(3)
    scores = random.normal(0, 2, 40_000)
    taken = random.random(len(scores)) < 1 / (1 + np.exp(2.0 - 0.5 * scores))
    found = fit_platt(scores, taken)
    np.testing.assert_allclose([found.slope, found.offset], [0.5, -2.0], atol=0.1)
    assert fit_platt(-scores, taken).slope == 1.0
    nothing_taken = fit_platt(scores, np.zeros(len(scores), bool))
    assert nothing_taken.slope > 0
    assert np.isfinite(nothing_taken.offset)


def test_a_fit_keeps_nothing_of_the_lists() -> None:
    examples = planted_examples(users=40)
    lists = weakref.ref(examples.numeric)
    model, _ = trained(examples, ranker_least_steps=2)
    del examples
    gc.collect()
    assert model.members
    assert lists() is None


def test_a_number_that_is_none_is_named_with_its_user(tmp_path: Path) -> None:
    examples = planted_examples(users=12)
    examples.numeric[4, 2, NUMERIC.index("price_ratio")] = np.nan
    with pytest.raises(BadInputError, match="'price_ratio' of user user-4 is nan"):
        read(written(examples, tmp_path))


def test_where_nothing_or_everything_was_taken_there_is_nothing_to_learn(tmp_path: Path) -> None:
    examples = planted_examples(users=12)
    for taken, said in ((0.0, "none"), (1.0, "all")):
        examples.taken[:] = taken
        with pytest.raises(BadInputError, match=f"{said} of the 320 candidates were taken"):
            read(written(examples, tmp_path))


def test_nine_users_are_too_few(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="9 users cannot train a ranker"):
        read(written(planted_examples(users=9), tmp_path))


def test_candidates_come_back_from_their_file_as_they_went_in(tmp_path: Path) -> None:
    examples = shown_examples(users=600)
    examples.present[::3, 20:] = False
    found = read(written(examples, tmp_path), 500)
    assert sorted(found.user_ids) == sample_of(examples.user_ids, 500)
    fractions = hash_fractions(found.user_ids)
    assert (np.diff(fractions) > 0).all(), "validation users come first"
    expected = examples[np.array([examples.user_ids.index(user) for user in found.user_ids])]
    np.testing.assert_array_equal(found.present, expected.present)
    for name in ("numeric", "categorical", "taken", "outcomes", "positions", "propensities"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        np.testing.assert_array_equal(ours[found.present], theirs[found.present])


def read(path: Path, most_users: int = 1000) -> RankingExamples:
    """The lists of a file."""
    file = open_candidates(path, most_users)
    lists = RankingExamples.blank(file.user_ids, int(file.lengths.max()))
    file.fill(lists)
    return lists


def written(examples: RankingExamples, folder: Path) -> Path:
    """The file of `serving.offline candidates` with these."""
    rows = [
        {
            "user_id": user,
            "item_rows": np.flatnonzero(present).astype(np.int32),
            "numeric": examples.numeric[place, present].reshape(-1),
            "categorical": examples.categorical[place, present].reshape(-1),
            "labels": examples.taken[place, present],
            "outcomes": examples.outcomes[place, present].reshape(-1),
            "positions": examples.positions[place, present],
            "propensities": examples.propensities[place, present],
        }
        for place, (user, present) in enumerate(zip(examples.user_ids, examples.present, strict=True))
    ]
    path = folder / "candidates.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path
