"""Features of candidates, with numbers that can be checked by eye."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headrace.features.own_items import own_item_features
from headrace.features.ranking import CATEGORICAL, NUMERIC, USER_COLUMNS, Source, ranking_features
from headrace.features.user_row import MICROSECONDS_PER_DAY, OwnItems, UserRow, user_row
from headrace.release.catalogue import Catalogue
from headrace.release.neighbours import Neighbours

DAY = MICROSECONDS_PER_DAY


@pytest.fixture
def catalogue() -> Catalogue:
    """Three items: milk and cheese are dairy, bread is bakery; nobody knows cheese's price."""
    codes = {name: np.array([1, 1, 2], np.int32) for name in ("category_1", "category_2", "category_3")}
    codes |= {name: np.zeros(3, np.int32) for name in ("brand", "maker")}
    numbers = {
        name: np.array([8, 0, 3], np.float32) for name in ("popularity", "trend_popularity", "purchases", "users_total")
    }
    numbers |= {
        "repeat_rate": np.array([0.5, 0, 0.1], np.float32),
        "price": np.array([1, np.nan, 2], np.float32),
        "age_days": np.array([100, np.nan, 10], np.float32),
        "promotion_coming": np.array([0.5, 0, 0], np.float32),
        "promotion_past": np.array([0.25, 0, 0], np.float32),
    }
    return Catalogue(
        item_ids=["milk", "cheese", "bread"],
        titles=["Milk", "Cheese", "Bread"],
        row_of={"milk": 0, "cheese": 1, "bread": 2},
        codes=codes,
        numbers=numbers,
        available=np.ones(3, bool),
        vocabularies={
            **{f"category_{level}": ["dairy", "bakery"] for level in (1, 2, 3)},
            "brand": [],
            "maker": [],
        },
        embeddings=np.zeros((3, 4), np.float32),
        popular={"": np.array([0, 2, 1], np.int32)},
    )


def features_of(user: UserRow, catalogue: Catalogue) -> dict[str, list[float]]:
    features = ranking_features(
        user,
        own_item_features(user, catalogue),
        catalogue,
        candidates=np.array([2, 0, 1], np.int32),
        tower_scores=np.array([1.0, 3.0, 2.0], np.float32),
        sources=np.array([Source.POPULAR, Source.OWN | Source.TOWER, Source.TOWER], np.int32),
    )
    assert features.numeric.shape == (3, len(NUMERIC))
    assert features.categorical.shape == (3, len(CATEGORICAL))
    assert np.isfinite(features.numeric).all()
    return {name: features.numeric[:, place].tolist() for place, name in enumerate(NUMERIC)}


def test_features_of_a_user_who_took_milk_three_times(catalogue):
    own = OwnItems(
        ["unknown-item", "milk"],
        np.array([9, 3], np.float32),
        np.array([9, 2], np.float32),
        np.array([0, 10 * DAY]),
        np.array([0, 30 * DAY]),
    )
    features = features_of(UserRow("u", as_of=40 * DAY, own=own, events_total=12), catalogue)
    # candidates are bread, milk, cheese
    assert features["own_count"] == pytest.approx([0, np.log(4), 0])
    assert features["own_share"] == pytest.approx([0, 1, 0])  # of the items that the release knows
    assert features["own_days_since"] == pytest.approx([0, np.log(11), 0])
    assert features["own_due"] == pytest.approx([0, 1, 0])  # a gap of 10 days, the last 10 days ago
    assert features["own_gap"] == pytest.approx([0, np.log(11), 0])
    assert features["own_rate"] == pytest.approx([0, 3 / (30 / 7), 0])  # 3 times in the 30 days since the first
    assert features["own_loyalty"] == pytest.approx([0, 1, 0])
    assert features["kind_count"] == pytest.approx([0, np.log(4), np.log(4)])  # cheese is dairy too
    assert features["kind_due"] == pytest.approx([0, 1, 1])
    assert features["user_days_since"] == pytest.approx([np.log(11)] * 3)
    assert features["tower_score"] == pytest.approx([-2, 0, -1])
    assert features["category_1_share"] == pytest.approx([0, 1, 1])
    assert features["price_ratio"] == pytest.approx([np.log(3) - np.log(2), 0, 0])
    assert features["from_own"] == [0, 1, 0]
    assert features["from_tower"] == [0, 1, 1]


def test_what_was_taken_instead(catalogue):
    own = OwnItems(
        ["milk", "cheese"],
        np.array([2, 4], np.float32),
        np.array([1, 3], np.float32),
        np.array([0, 10 * DAY]),
        np.array([20 * DAY, 34 * DAY]),
    )
    features = features_of(UserRow("u", as_of=40 * DAY, own=own), catalogue)
    # candidates are bread, milk, cheese
    assert features["own_loyalty"] == pytest.approx([0, 0.25, 0.75])
    assert features["own_replaced"] == pytest.approx([0, np.log(15), 0])  # cheese 14 days after the last milk
    assert features["kind_items"] == pytest.approx([0, np.log(3), np.log(3)])
    assert features["kind_days_since"] == pytest.approx([0, np.log(7), np.log(7)])
    # Dairy 6 times from day 0 to 34, every 6.8 days, the last 6 days ago.
    assert features["kind_due"] == pytest.approx([0, 6 / 6.8, 6 / 6.8])


def test_features_of_an_unknown_user_are_zero_where_they_are_about_the_user(catalogue):
    features = features_of(UserRow("stranger", as_of=0), catalogue)
    for name in ("own_count", "own_due", "category_1_share", "price_ratio", "user_events"):
        assert features[name] == [0, 0, 0], name
    assert features["popularity"] == pytest.approx(np.log1p([3, 8, 0]))


def test_the_columns_of_a_user_that_change_the_features_are_those_that_are_named(catalogue):
    values = {
        "history_event_ids": ["e1"],
        "history_items": ["milk"],
        "history_types": ["view"],
        "history_timestamps": [DAY],
        "own_items": ["milk", "bread"],
        "own_counts": [3.0, 2.0],
        "own_decayed_counts": [2.0, 1.0],
        "own_first_timestamps": [10 * DAY, 12 * DAY],
        "own_last_timestamps": [30 * DAY, 34 * DAY],
        "events_total": 5,
        "baskets_total": 4,
        "profile_keys": ["age"],
        "profile_values": ["40"],
    }
    others = {
        **{name: ["cheese"] for name in ("history_event_ids", "history_items", "history_types")},
        **{"history_timestamps": [2 * DAY], "profile_keys": ["size"], "profile_values": ["2"]},
        **{"own_items": ["bread", "cheese"], "own_counts": [3.0, 5.0], "own_decayed_counts": [2.0, 0.5]},
        **{"own_first_timestamps": [5 * DAY, 6 * DAY], "own_last_timestamps": [35 * DAY, 36 * DAY]},
        **{"events_total": 9, "baskets_total": 9},
    }
    usual = features_of(user_row(values, "u", 40 * DAY), catalogue)
    changing = [
        name
        for name in values
        if features_of(user_row(values | {name: others[name]}, "u", 40 * DAY), catalogue) != usual
    ]
    assert changing == list(USER_COLUMNS)


def test_what_own_items_say_for_and_against(catalogue):
    starts = np.array([0, 2, 2, 2])  # milk speaks for cheese and against bread
    knowing = replace(
        catalogue, neighbours=Neighbours(starts, np.array([1, 2], np.int32), np.array([0.5, -0.25], np.float32))
    )
    ones = np.ones(1, np.float32)
    own = OwnItems(["milk"], ones, ones, np.array([0]), np.array([0]))
    features = features_of(UserRow("u", as_of=DAY, own=own, events_total=1), knowing)
    # candidates are bread, milk, cheese; milk counts log 2
    assert features["neighbour_score"] == pytest.approx([-np.sqrt(0.25 * np.log(2)), 0, np.sqrt(0.5 * np.log(2))])
    assert features["neighbour_share"] == pytest.approx([0, 0, 1])
