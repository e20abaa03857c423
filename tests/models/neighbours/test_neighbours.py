"""EASE weights against the formula, and every model finds the items of a planted taste."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse

from headrace.settings.jobs import TrainingSettings
from models.neighbours import table as neighbours
from models.neighbours.models import NEIGHBOUR_MODELS, Known, ease
from models.neighbours.table import neighbour_table, own_matrix, strongest_weights
from models.training.gold import Lake
from tests.models.baselines.baseline_contract import ITEMS, ITEMS_PER_TASTE, world

IN_MEMORY = sorted(NEIGHBOUR_MODELS.keys() - {"spark_als"})
"""Spark's is in tests/jobs/batch/training/test_als.py."""


def weights_by_the_formula(taken: np.ndarray, ridge: float) -> np.ndarray:
    inverse = np.linalg.inv(taken.T @ taken + ridge * np.eye(taken.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


@pytest.mark.parametrize("users", [5, 40])  # fewer users than items, and more: two ways to the same inverse
def test_weights_are_those_of_the_formula(users, monkeypatch):
    monkeypatch.setattr(neighbours, "_BLOCK", 3)
    random = np.random.default_rng(2)
    taken = random.random((users, 8)) * (random.random((users, 8)) < 0.5)
    expected = weights_by_the_formula(taken, 0.5)
    known = Known(sparse.csr_matrix(taken.astype(np.float32)))
    block_of = ease(known, TrainingSettings(neighbour_ridge=0.5))
    item, neighbour, weight = strongest_weights(block_of, np.arange(8) + 10, 3)
    assert (weight < 0).any()
    np.testing.assert_allclose(weight, expected[item - 10, neighbour - 10], rtol=1e-3, atol=1e-5)
    for each in range(8):
        farthest = np.sort(np.abs(expected[each]))[::-1][:3]
        np.testing.assert_allclose(np.sort(np.abs(weight[item == each + 10]))[::-1], farthest, rtol=1e-3, atol=1e-5)


def test_a_user_has_a_row_and_items_that_take_no_part_are_left_out():
    pairs = pa.table({"user_id": ["b", "a", "b"], "item_id": ["x", "y", "z"], "decayed_count": [1.0, 3.0, 7.0]})
    matrix = own_matrix(pairs, pa.chunked_array([["y", "x"]])).toarray()
    np.testing.assert_allclose(matrix, [[np.log(4), 0], [0, np.log(2)]])


@pytest.mark.parametrize("model", IN_MEMORY)
def test_without_any_item_that_users_took_there_are_no_pairs(model, tmp_path):
    nobody = TrainingSettings(neighbour_model=model)
    items = pa.table({"item_id": pa.array([], pa.string()), "users_total": pa.array([], pa.float32())})
    assert neighbour_table(Lake(str(tmp_path)), date(2026, 11, 20), items, nobody).num_rows == 0


@pytest.mark.parametrize("model", IN_MEMORY)
def test_every_model_names_items_of_the_same_taste_whoever_asks_for_how_many_at_once(model, monkeypatch):
    events, _ = world()
    known = Known(events.counts(None), events.texts)
    made = [strongest_weights(NEIGHBOUR_MODELS[model](known, TrainingSettings()), np.arange(ITEMS), 5)]
    monkeypatch.setattr(neighbours, "_BLOCK", 7)
    made.append(strongest_weights(NEIGHBOUR_MODELS[model](known, TrainingSettings()), np.arange(ITEMS), 5))
    for item, neighbour, weight in made:
        assert (weight > 0).all()
        assert (item != neighbour).all()
        assert np.bincount(item, minlength=ITEMS).tolist() == [5] * ITEMS
        assert (item // ITEMS_PER_TASTE == neighbour // ITEMS_PER_TASTE).mean() > 0.85  # a third by chance
    pairs = [set(zip(item.tolist(), neighbour.tolist(), strict=True)) for item, neighbour, _ in made]
    assert len(pairs[0] & pairs[1]) >= 0.99 * len(pairs[0])


def test_a_setting_names_each_model():
    assert set(TrainingSettings.model_json_schema()["properties"]["neighbour_model"]["enum"]) == set(NEIGHBOUR_MODELS)
