"""The vectorised metrics give the very numbers of the plain reference implementation, and those worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import BadInputError
from models.metrics import ranking as metrics
from models.metrics.ranking import Targets, list_properties, score_lists
from models.metrics.resampling import bounds, interval, paired_ratio, resampled_means
from tests.models.metrics import reference_metrics as reference

ITEMS = 60


def lists_and_targets(seed: int, users: int = 40):
    random = np.random.default_rng(seed)
    scores = random.random((users, ITEMS)).round(2)  # with ties
    scores[0, random.integers(ITEMS) :] = -np.inf  # a list that is not full
    targets = [random.choice(ITEMS, random.integers(1, 45)) for _ in range(users)]
    return reference.top_k(scores, 30), targets


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 30), block=st.integers(1, 50))
def test_the_metrics_equal_the_reference_to_the_last_digit_in_blocks_of_any_size(seed: int, k: int, block: int):
    lists, targets = lists_and_targets(seed)
    ranks = np.arange(1, ITEMS + 1)
    expected = reference.evaluate(lists, targets, ranks, k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "_BLOCK", block)
        ours = score_lists(lists.astype(np.int32), Targets.of(targets), k)
    assert ours.recall.tolist() == expected.recall.tolist()
    assert ours.ndcg.tolist() == expected.ndcg.tolist()
    properties = list_properties(lists, ranks, k)
    assert (properties.coverage, properties.popularity_rank) == (expected.coverage, expected.popularity_rank)


@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 2**32 - 1))
def test_intervals_and_ratios_equal_the_reference_to_the_last_digit(seed: int):
    lists, targets = lists_and_targets(seed)
    ours = score_lists(lists, Targets.of(targets), 20)
    assert interval(ours.ndcg) == reference.interval(ours.ndcg)
    assert paired_ratio(ours.ndcg, ours.recall) == reference.paired_ratio(ours.ndcg, ours.recall)


def test_columns_drawn_together_are_those_drawn_alone():
    columns = [np.arange(9.0), np.arange(9.0) ** 2]
    assert [bounds(drawn) for drawn in resampled_means(columns)] == [interval(column) for column in columns]
    with pytest.raises(BadInputError, match="two models with lists for different users"):
        resampled_means([np.zeros(3), np.zeros(4)])


def test_hit_reciprocal_rank_and_average_precision_by_hand():
    scores = score_lists(np.array([[7, 8, 9], [1, 2, 3]]), Targets.of([np.array([9, 8]), np.array([5])]), 3)
    assert scores.hit.tolist() == [1.0, 0.0]
    assert scores.reciprocal_rank.tolist() == [0.5, 0.0]
    # Hits at places 2 and 3 of two targets: (1/2 + 2/3) / 2.
    assert scores.average_precision.tolist() == [(1 / 2 + 2 / 3) / 2, 0.0]


def test_a_list_that_names_an_item_twice_is_refused_by_the_number_of_its_user(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(metrics, "_BLOCK", 1)
    with pytest.raises(BadInputError, match="user 1: an item is recommended twice"):
        score_lists(np.array([[1, 2], [3, 3]]), Targets.of([np.array([1]), np.array([1])]), 2)


def test_a_list_shorter_than_k_is_refused():
    with pytest.raises(BadInputError, match="lists of 2 items"):
        score_lists(np.array([[1, 2]]), Targets.of([np.array([1])]), 3)


def test_a_user_without_targets_is_refused():
    with pytest.raises(BadInputError, match="user 1 has no targets"):
        Targets.of([np.array([1]), np.zeros(0, int)])
