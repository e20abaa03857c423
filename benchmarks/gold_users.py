"""Generated rows of `gold.user_features` for the benchmarks of the feature store: always the same ones."""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column
from pyspark.sql import functions as F

from headrace.tables import GOLD_USER_FEATURES, end_of, microseconds
from jobs.batch.engine.lake import Lake, fitted

LAST_DAY = date(2026, 11, 20)
HISTORY = 50
_DAY_US = 86_400_000_000


def write_users(lake: Lake, users: int, days: int = 1, created: Column | None = None) -> None:
    """One row per user and day for the last `days`: 50 events of history, 10 to 109 own items.

    `created` is the time when a row was computed, from its other columns (default: its event_timestamp).
    """
    last = microseconds(end_of(LAST_DAY))
    numbered = lake.spark.range(0, users * days, 1, 4)
    rows = numbered.select((F.col("id") % users).alias("user"), F.floor(F.col("id") / users).alias("back"))
    as_of = F.lit(last) - F.col("back") * _DAY_US
    own = F.pmod(F.xxhash64("user"), F.lit(100)) + 10
    listed = rows.select(
        F.concat(F.lit("u"), F.col("user")).alias("user_id"),
        F.timestamp_micros(as_of).alias("event_timestamp"),
        F.timestamp_micros(as_of).alias("created_timestamp"),
        _list(HISTORY, "event", lambda n: F.concat(F.lit("event-"), n)).alias("history_event_ids"),
        _list(HISTORY, "item", lambda n: F.concat(F.lit("i"), n % 50_000)).alias("history_items"),
        _list(HISTORY, "kind", lambda _: F.lit("purchase")).alias("history_types"),
        _list(HISTORY, "time", lambda n: as_of - n * 1000).alias("history_timestamps"),
        _list(own, "own", lambda n: F.concat(F.lit("i"), n % 50_000)).alias("own_items"),
        _list(own, "count", lambda n: (n % 9 + 1).cast("float")).alias("own_counts"),
        _list(own, "decayed", lambda n: (n / float(2**33)).cast("float")).alias("own_decayed_counts"),
        _list(own, "first", lambda n: as_of - n * 9000).alias("own_first_timestamps"),
        _list(own, "last", lambda n: as_of - n * 1000).alias("own_last_timestamps"),
        (F.col("user") % 1000 + F.col("back")).alias("events_total"),
        (F.col("user") % 100).alias("baskets_total"),
        F.array(F.lit("age"), F.lit("household_size")).alias("profile_keys"),
        F.array((F.col("user") % 7).cast("string"), (F.col("user") % 4).cast("string")).alias("profile_values"),
        F.to_date(F.timestamp_micros(as_of - 1)).alias("day"),
    )
    if created is not None:
        listed = listed.withColumn("created_timestamp", created)
    lake.append(fitted(listed, GOLD_USER_FEATURES).repartition(2), GOLD_USER_FEATURES)


def _list(length: Column | int, stream: str, value: object) -> Column:
    """`length` values, each made of a number in [0, 2³³) by hash of user, day, stream and index."""
    places = F.sequence(F.lit(1), F.lit(length) if isinstance(length, int) else length.cast("int"))
    number = lambda place: F.pmod(F.xxhash64("user", "back", F.lit(stream), place), F.lit(1 << 33))  # noqa: E731
    return F.transform(places, lambda place: value(number(place)))  # type: ignore[operator]
