"""The vectorised metrics give the very numbers of the plain reference implementation."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.errors import BadInputError
from models.evaluation import Targets, interval, list_properties, paired_ratio, score_lists
from tests.models import reference_metrics as reference

ITEMS = 60


@pytest.fixture(params=range(5))
def lists_and_targets(request: pytest.FixtureRequest):
    random = np.random.default_rng(request.param)
    lists = reference.top_k(random.random((40, ITEMS)), 30)
    lists[3, 5:] = reference.NO_ITEM
    targets = [random.choice(ITEMS, random.integers(1, 45)) for _ in range(40)]
    return lists, targets


@pytest.mark.parametrize("k", [1, 5, 20, 30])
def test_recall_and_ndcg_equal_the_reference_to_the_last_digit(lists_and_targets, k: int):
    lists, targets = lists_and_targets
    expected = reference.evaluate(lists, targets, np.arange(1, ITEMS + 1), k)
    ours = score_lists(lists, Targets.of(targets), k)
    assert ours.recall.tolist() == expected.recall.tolist()
    assert ours.ndcg.tolist() == expected.ndcg.tolist()
    properties = list_properties(lists, np.arange(1, ITEMS + 1), k)
    assert (properties.coverage, properties.popularity_rank) == (expected.coverage, expected.popularity_rank)


def test_intervals_and_ratios_equal_the_reference_to_the_last_digit(lists_and_targets):
    lists, targets = lists_and_targets
    ours = score_lists(lists, Targets.of(targets), 20)
    assert interval(ours.ndcg) == reference.interval(ours.ndcg)
    assert paired_ratio(ours.ndcg, ours.recall) == reference.paired_ratio(ours.ndcg, ours.recall)


def test_hit_and_reciprocal_rank_look_at_the_first_relevant_item():
    scores = score_lists(np.array([[7, 8, 9], [1, 2, 3]]), Targets.of([np.array([9, 8]), np.array([5])]), 3)
    assert scores.hit.tolist() == [1.0, 0.0]
    assert scores.reciprocal_rank.tolist() == [0.5, 0.0]


def test_a_list_that_names_an_item_twice_is_refused():
    with pytest.raises(BadInputError, match="user 1: an item is recommended twice"):
        score_lists(np.array([[1, 2], [3, 3]]), Targets.of([np.array([1]), np.array([1])]), 2)


def test_a_list_shorter_than_k_is_refused():
    with pytest.raises(BadInputError, match="lists of 2 items"):
        score_lists(np.array([[1, 2]]), Targets.of([np.array([1])]), 3)


def test_a_user_without_targets_is_refused():
    with pytest.raises(BadInputError, match="user 1 has no targets"):
        Targets.of([np.array([1]), np.zeros(0, int)])
