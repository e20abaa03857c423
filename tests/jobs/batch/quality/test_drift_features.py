"""Every feature is compared, vectors whatever their axes, and of a large table a sample."""

from __future__ import annotations

import re
from datetime import date

import pytest
from pyspark.sql import SparkSession

from headrace.features.catalogue import GROUPS, FeatureGroup
from headrace.tables import GOLD_ITEM_CONTENT, GOLD_USER_ITEM_FEATURES
from jobs.batch.quality.drift import feature_counts, sampled
from jobs.batch.quality.drift_features import CATEGORIES, NOT_COMPARED, NUMERIC

MONDAY, TUESDAY = date(2026, 11, 16), date(2026, 11, 17)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.table.name)
def test_something_of_every_feature_is_compared_or_it_is_said_why_not(group: FeatureGroup) -> None:
    compared = {**NUMERIC[group.table.path], **CATEGORIES[group.table.path]}
    read = set(re.findall(r"\w+", " ".join(compared.values())))
    assert {feature.name for feature in group.features} - read == NOT_COMPARED.keys() & group.table.schema.names


def test_vectors_on_other_axes_are_as_close_to_their_mean_and_one_of_zeros_is_missing(spark: SparkSession) -> None:
    on_axes = {
        MONDAY: [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]],  # their mean points to (2, 1) / √5
        TUESDAY: [[0.0, 1.0], [0.0, 1.0], [-1.0, 0.0], [0.0, 0.0]],  # the same, turned by a quarter
    }
    rows = [(day, f"i{number}", vector) for day, vectors in on_axes.items() for number, vector in enumerate(vectors)]
    counts = feature_counts(
        spark.createDataFrame(rows, "day date, item_id string, content array<float>"), GOLD_ITEM_CONTENT
    )
    for day in on_axes:
        side = counts[day, "content_closeness"]
        assert (side.numbers(), side.missing) == ({0.894: 2, 0.447: 1}, 1)


def test_of_a_large_day_the_rows_of_the_same_keys_are_read_on_every_day(spark: SparkSession) -> None:
    rows = spark.range(2000).selectExpr(
        "concat('u', id % 1000) AS user_id", "'milk' AS item_id", f"date'{MONDAY}' + int(id / 1000) AS day"
    )
    assert sampled(rows, GOLD_USER_ITEM_FEATURES, 1000).count() == 2000
    kept = {day: set() for day in (MONDAY, TUESDAY)}
    for row in sampled(rows, GOLD_USER_ITEM_FEATURES, 100).collect():
        kept[row["day"]].add(row["user_id"])
    assert kept[MONDAY] == kept[TUESDAY]
    assert 60 < len(kept[MONDAY]) < 140
