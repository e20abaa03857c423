"""EASE weights against the formula, and the pairs that a planted habit makes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse

from models import neighbours
from models.neighbours import own_matrix, strongest_weights


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
    item, neighbour, weight = strongest_weights(sparse.csr_matrix(taken.astype(np.float32)), np.arange(8) + 10, 0.5, 3)
    assert (weight > 0).all()
    np.testing.assert_allclose(weight, expected[item - 10, neighbour - 10], rtol=1e-3, atol=1e-5)
    for each in range(8):
        best = np.sort(expected[each][expected[each] > 1e-6])[::-1][:3]
        np.testing.assert_allclose(np.sort(weight[item == each + 10])[::-1], best, rtol=1e-3, atol=1e-5)


def test_a_user_has_a_row_and_items_that_take_no_part_are_left_out():
    pairs = pa.table({"user_id": ["b", "a", "b"], "item_id": ["x", "y", "z"], "decayed_count": [1.0, 3.0, 7.0]})
    matrix = own_matrix(pairs, pa.chunked_array([["y", "x"]])).toarray()
    np.testing.assert_allclose(matrix, [[np.log(4), 0], [0, np.log(2)]])


def test_without_any_item_there_are_no_pairs():
    assert [len(part) for part in strongest_weights(sparse.csr_matrix((4, 0)), np.arange(0), 300.0, 50)] == [0, 0, 0]
