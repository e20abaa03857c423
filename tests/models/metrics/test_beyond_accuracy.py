"""Novelty, diversity, serendipity, popularity bias and slices, worked out by hand on a catalogue of four items."""

from __future__ import annotations

import numpy as np
import pytest

from models.metrics.beyond_accuracy import ItemStatistics, character, gini, popularity_curve, popularity_lift
from models.metrics.ranking import NO_ITEM, PerUser, Targets, score_lists
from models.metrics.slices import (
    groups_by_activity,
    groups_by_profile,
    item_groups,
    score_item_groups,
    score_user_groups,
)

FACTS = ItemStatistics(
    popularity=np.array([8.0, 4.0, 2.0, 0.0]),
    users_ever=np.array([8.0, 4.0, 2.0, 1.0]),
    users=8,
    category=np.array([0, 0, 1, -1]),
    expected=np.array([True, False, False, False]),
)
OUTSIDE = 4
LISTS = np.array([[0, 1, 2], [3, OUTSIDE, NO_ITEM], [0, 3, NO_ITEM]])
TARGETS = Targets.of([np.array([0, 2]), np.array([OUTSIDE]), np.array([3])])


def test_the_character_of_three_lists_by_hand():
    found = character(LISTS, TARGETS, FACTS, k=3)
    assert found.coverage == 1.0
    # Shares of users 1, 1/2, 1/4, 1/8 are 0, 1, 2 and 3 bits.
    assert found.novelty.tolist() == [1.0, 3.0, 1.5]
    # Of the pairs 0-1, 0-2, 1-2 the first is of one category; an unknown category is like no other.
    assert found.diversity.tolist() == pytest.approx([2 / 3, 1.0, 1.0])
    # Item 0 is right but expected; item 2 is a find; what is outside the catalogue is none.
    assert found.serendipity.tolist() == pytest.approx([1 / 3, 0.0, 1 / 3])
    assert found.popularity.tolist() == pytest.approx([14 / 3, 0.0, 4.0])
    assert found.gini == gini(np.array([2, 1, 1, 2]))


def test_gini_is_zero_where_all_are_shown_alike_and_near_one_where_one_is():
    assert gini(np.array([3, 3, 3])) == 0.0
    assert gini(np.array([0, 0, 0, 8])) == 0.75  # 1 − 1/4
    assert gini(np.zeros(3, int)) == 0.0


def test_popularity_lift_compares_with_what_users_took_before():
    assert popularity_lift(np.array([6.0, 2.0, 9.0]), np.array([2.0, 2.0, np.nan])) == 1.0  # 4 against 2


def test_the_popularity_curve_has_the_share_of_positions_of_the_most_popular():
    curve = popularity_curve(np.array([[0, 1], [0, 2]]), FACTS.popularity, k=2, shares=(0, 0.25, 0.5, 1))
    assert curve.tolist() == [0.0, 0.5, 0.75, 1.0]


def test_users_are_sliced_by_activity_and_profile():
    groups = groups_by_activity(np.array([0.0, 1.0, 2.0, 9.0]))
    assert {name: np.flatnonzero(members).tolist() for name, members in groups.items()} == {
        "new users": [0],
        "light users": [1],
        "middle users": [2],
        "heavy users": [3],
    }
    ages = groups_by_profile("age", ["young", None, "old", "young"])
    assert {name: np.flatnonzero(members).tolist() for name, members in ages.items()} == {
        "age: old": [2],
        "age: unknown": [1],
        "age: young": [0, 3],
    }


def test_without_any_history_all_users_are_new():
    groups = groups_by_activity(np.zeros(3))
    assert groups["new users"].all() and not groups["heavy users"].any()


def test_items_are_sliced_by_age_and_by_the_share_of_what_users_took():
    groups = item_groups(np.array([1.0, 6.0, 2.0, 1.0]), np.array([3.0, 300.0, 29.0, np.nan]))
    assert groups["new items"].tolist() == [True, False, False, False]
    assert groups["head items"].tolist() == [False, True, True, False]  # 8 of 10
    assert groups["tail items"].tolist() == [True, False, False, True]


def test_a_slice_of_items_asks_only_for_targets_of_it_and_small_slices_are_left_out():
    lists = np.tile([5, 6, 7], (6, 1))
    targets = Targets.of([np.array([6, 1])] * 5 + [np.array([1])])
    groups = {"six": np.arange(8) == 6, "none": np.zeros(8, bool)}
    found = score_item_groups(lists, targets, groups, k=3)
    assert set(found) == {"six"}
    assert (found["six"].users, found["six"].recall) == (5, 1.0)
    assert found["six"].ndcg == pytest.approx(1 / np.log2(3))
    scores: PerUser = score_lists(lists, targets, 3)
    of_users = score_user_groups(scores, {"first five": np.arange(6) < 5, "last": np.arange(6) == 5})
    assert set(of_users) == {"first five"}
    assert of_users["first five"].recall == 0.5
