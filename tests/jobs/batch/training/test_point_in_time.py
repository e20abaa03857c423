"""Each labelled row gets what was known at its time: nothing of later, nothing computed later."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs.batch.training.point_in_time import point_in_time

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


SCHEMA = "user_id string, event_timestamp timestamp, created_timestamp timestamp, total int"


@pytest.fixture(scope="module")
def features(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> DataFrame:
    """Ann at 10, 12 and 14 o'clock; the row of 12 was corrected at 15. Bob at 10."""
    rows = [
        ("ann", NOON - 2 * HOUR, NOON - 2 * HOUR, 10),
        ("ann", NOON, NOON, 12),
        ("ann", NOON, NOON + 3 * HOUR, 1200),
        ("ann", NOON + 2 * HOUR, NOON + 2 * HOUR, 14),
        ("bob", NOON - 2 * HOUR, NOON - 2 * HOUR, 100),
    ]
    return stored(spark.createDataFrame(rows, SCHEMA), tmp_path_factory.mktemp("features"))


def stored(rows: DataFrame, folder: Path) -> DataFrame:
    """The rows in two files."""
    rows.repartition(2).write.parquet(f"{folder}/rows")
    return rows.sparkSession.read.parquet(f"{folder}/rows")


Joined = Callable[..., list[int | None]]


@pytest.fixture(scope="module")
def joined(spark: SparkSession, features: DataFrame) -> Joined:
    """The totals known at labels (user, time)."""
    return lambda *labels: _joined(spark, features, labels)


def _joined(spark: SparkSession, features: DataFrame, labels: tuple[tuple[str, datetime], ...]) -> list[int | None]:
    numbered = [(place, *label) for place, label in enumerate(labels)]
    rows = spark.createDataFrame(numbered, "place int, user_id string, at timestamp")
    answer = point_in_time(rows, features, "user_id", "at", ["total"])
    assert answer.columns == ["place", "user_id", "at", "total"]
    return [row["total"] for row in answer.orderBy("place").collect()]


def test_the_newest_row_up_to_the_time_is_taken_and_that_of_the_very_time_counts(joined: Joined) -> None:
    labels = [("ann", NOON - HOUR), ("ann", NOON), ("ann", NOON + HOUR), ("bob", NOON), ("cat", NOON)]
    assert joined(*labels) == [10, 12, 12, 100, None]


def test_before_anything_was_known_there_is_nothing(joined: Joined) -> None:
    assert joined(("ann", NOON - 2 * HOUR - timedelta(microseconds=1)), ("bob", NOON)) == [None, 100]


def test_a_row_corrected_after_the_fact_is_not_seen_before_it_was_computed_nor_over_a_newer_one(
    joined: Joined,
) -> None:
    assert joined(("ann", NOON + HOUR)) == [12]
    assert joined(("ann", NOON + 4 * HOUR)) == [14]


def test_a_late_correction_is_seen_once_it_was_computed(spark: SparkSession, tmp_path: Path) -> None:
    corrected = [("ann", NOON, NOON, 12), ("ann", NOON, NOON + 3 * HOUR, 1200)]
    table = stored(spark.createDataFrame(corrected, SCHEMA), tmp_path)
    labels = spark.createDataFrame([("ann", NOON + 2 * HOUR), ("ann", NOON + 3 * HOUR)], "user_id string, at timestamp")
    answer = point_in_time(labels, table, "user_id", "at", ["total"]).orderBy("at").collect()
    assert [row["total"] for row in answer] == [12, 1200]


def test_a_label_given_twice_stays_twice(joined: Joined) -> None:
    assert joined(("bob", NOON), ("bob", NOON)) == [100, 100]


def test_a_name_in_both_tables_is_refused(features: DataFrame) -> None:
    with pytest.raises(ValueError, match="both have event_timestamp"):
        point_in_time(features, features, "user_id", "event_timestamp", ["event_timestamp"])
