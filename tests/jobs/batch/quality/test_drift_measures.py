"""Drift measures against numbers computed by hand."""

from __future__ import annotations

from datetime import date
from math import log

import numpy as np
import pytest

from jobs.batch.quality.drift_measures import (
    category_index,
    kolmogorov_smirnov,
    new_categories,
    numeric_index,
    population_stability_index,
)
from jobs.batch.quality.drift_metrics import metrics_text
from jobs.batch.quality.findings import Finding

ONE_TO_TEN = {float(value): 1 for value in range(1, 11)}


def test_index_of_a_half_and_half_feature_that_became_three_to_one() -> None:
    by_hand = (0.75 - 0.5) * log(0.75 / 0.5) + (0.25 - 0.5) * log(0.25 / 0.5)  # 0.2747
    assert population_stability_index(np.array([50.0, 50.0]), np.array([3.0, 1.0])) == pytest.approx(by_hand)
    assert category_index({"a": 50, "b": 50}, {"a": 3, "b": 1}) == pytest.approx(by_hand)


def test_index_of_equal_shares_is_nothing_however_many_rows_there_are() -> None:
    assert numeric_index(ONE_TO_TEN, dict.fromkeys(ONE_TO_TEN, 7)) == pytest.approx(0.0)
    assert category_index({"a": 1, "b": 2}, {"a": 10, "b": 20}) == pytest.approx(0.0)


def test_classes_are_tenths_of_the_reference_and_hold_their_upper_edge() -> None:
    """All of today in the class of 5, which held a tenth; the other nine are empty, counted as 0.0001."""
    by_hand = (1 - 0.1) * log(1 / 0.1) + 9 * (0.0001 - 0.1) * log(0.0001 / 0.1)
    assert numeric_index(ONE_TO_TEN, {4.5: 3, 5.0: 4}) == pytest.approx(by_hand)


def test_a_value_that_most_rows_have_makes_one_class() -> None:
    by_hand = (0.5 - 0.9) * log(0.5 / 0.9) + (0.5 - 0.1) * log(0.5 / 0.1)
    assert numeric_index({0.0: 90, 3.0: 10}, {0.0: 5, 8.0: 5}) == pytest.approx(by_hand)


def test_a_constant_that_changed_is_seen() -> None:
    assert numeric_index({1.0: 10}, {2.0: 10}) > 5
    assert numeric_index({1.0: 10}, {0.5: 10}) == pytest.approx(0.0)  # one class reaches down without end …
    assert kolmogorov_smirnov({1.0: 10}, {0.5: 10}) == 1.0  # … which is why the second measure is there


def test_largest_distance_of_the_cumulative_distributions() -> None:
    # at 1: 1/4 against 0; at 2: 2/4 against 1/2; at 3: 3/4 against 1/2; at 4: 1 against 1/2; at 9: 1 against 1
    assert kolmogorov_smirnov({1.0: 1, 2.0: 1, 3.0: 1, 4.0: 1}, {2.0: 5, 9.0: 5}) == pytest.approx(0.5)
    assert kolmogorov_smirnov(ONE_TO_TEN, dict.fromkeys(ONE_TO_TEN, 3)) == pytest.approx(0.0)


def test_new_categories_are_named_most_frequent_first_with_their_share() -> None:
    assert new_categories({"a": 1}, {"a": 6, "c": 1, "b": 3}) == (0.4, ["b", "c"])
    assert new_categories({"a": 1, "b": 1}, {"a": 6}) == (0.0, [])


def test_metrics_name_table_feature_and_measure_and_leave_out_what_was_not_compared() -> None:
    def finding(rule: str, passed: bool, measured: float | None) -> Finding:
        return Finding("drift", "gold.item_features", "price", rule, "warn", passed, 9, None, measured, "", "")

    lines = metrics_text(
        date(1970, 1, 1), [finding("psi", False, 0.25), finding("ks", True, 0.0625), finding("x", True, None)]
    ).splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        'headrace_feature_drift{table="gold.item_features",feature="price",measure="psi"} 0.25',
        'headrace_feature_drift{table="gold.item_features",feature="price",measure="ks"} 0.0625',
        'headrace_feature_drifted{table="gold.item_features",feature="price",measure="psi"} 1',
        'headrace_feature_drifted{table="gold.item_features",feature="price",measure="ks"} 0',
        "headrace_feature_drift_as_of_seconds 86400",
    ]
