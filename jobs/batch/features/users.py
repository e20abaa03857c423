"""Features of users and of user-item pairs as of a time: pure functions of the silver tables.

The user × item pass reads every event once; item features and each user's own items are derived from it.
Only events with `timestamp` < `as_of` count. Decayed counts are added as whole numbers (of 2⁻⁴⁰),
because floats added in another order differ in the last digit, and two runs of one day must be equal.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from headrace.events import BEHAVIOUR_TYPES, INTEREST_TYPES, EventType
from headrace.features.context import named_sql
from headrace.settings.jobs import FeatureSettings
from headrace.tables import microseconds
from jobs.batch.clean.versions import current_at
from jobs.batch.features.shares import share

_UNIT = 2.0**40
_DAY_US = 86_400_000_000


def behaviour_before(events: DataFrame, as_of: datetime, *named: str) -> DataFrame:
    """The users' behaviour before `as_of`: subject as `user_id`, time in microseconds as `time`.

    `named` are the entries of the context (`DEVICE`, `SURFACE`) to carry along, each as a column.
    """
    last_day = (as_of - timedelta(microseconds=1)).date()
    counted = events.where((F.col("day") <= F.lit(last_day)) & (F.col("timestamp") < F.lit(as_of)))
    return counted.where(_is(*BEHAVIOUR_TYPES)).select(
        F.col("subject_id").alias("user_id"),
        "item_id",
        "event_type",
        "event_id",
        "value",
        "price",
        *(F.expr(named_sql(name)).alias(name) for name in named),
        F.unix_micros("timestamp").alias("time"),
    )


def interest_of(behaviour: DataFrame) -> DataFrame:
    """The events of interest among these."""
    return behaviour.where(_is(*INTEREST_TYPES) & F.col("item_id").isNotNull())


def interest_before(events: DataFrame, as_of: datetime) -> DataFrame:
    """The events of interest before `as_of`."""
    return interest_of(behaviour_before(events, as_of))


def user_item_features(interest: DataFrame, as_of: datetime, settings: FeatureSettings) -> DataFrame:
    """One row per pair with an event of interest. For other features only: `recent_purchases`, purchases in the trend
    window, and `units`, the decayed count as a whole number, of which sums do not depend on the order.

    Several events of one user with one item at the same time (lines of one receipt) are one occasion.
    """
    window_start = microseconds(as_of) - settings.trend_days * _DAY_US
    kinds = {
        "views": _is(EventType.VIEW, EventType.CLICK),
        "carts": _is(EventType.ADD_TO_CART),
        "purchases": _is(EventType.PURCHASE),
        "recent_purchases": _is(EventType.PURCHASE) & (F.col("time") >= window_start),
    }
    occasions = interest.groupBy("user_id", "item_id", "time").agg(
        *(F.count_if(wanted).alias(name) for name, wanted in kinds.items())
    )
    units = F.sum(_decay("time", as_of, settings))
    return occasions.groupBy("user_id", "item_id").agg(
        F.count("*").cast("float").alias("count"),
        (units / _UNIT).cast("float").alias("decayed_count"),
        F.min("time").alias("first_timestamp"),
        F.max("time").alias("last_timestamp"),
        ((F.lit(microseconds(as_of)) - F.max("time")) / _DAY_US).cast("float").alias("days_since"),
        *(F.sum(name).alias(name) for name in kinds),
        units.alias("units"),
    )


def with_affinity(user_items: DataFrame) -> DataFrame:
    """The rows with the share of each item in its user's decayed counts; 0 where these are all 0."""
    totals = user_items.groupBy("user_id").agg(F.sum("units").alias("all_units"))
    affinity = share(F.col("units"), F.col("all_units")).cast("float")
    return user_items.join(totals.hint("shuffle_hash"), "user_id").withColumn("affinity", affinity)


def user_features(
    user_items: DataFrame, interest: DataFrame, users: DataFrame, as_of: datetime, settings: FeatureSettings
) -> DataFrame:
    """One row per user with events or a profile; else empty lists."""
    # A user with a history has own items too. The result of a full join is shuffled and sorted again: narrow rows
    # first.
    wide = histories(interest, settings.history_length).join(own_items(user_items, settings), "user_id", "left")
    narrow = totals(interest).join(profiles(users, as_of), "user_id", "full")
    rows = wide.join(narrow, "user_id", "full")
    lists = {"array<string>": _STRING_LISTS, "array<float>": _FLOAT_LISTS, "array<bigint>": _TIME_LISTS}
    kinds = {name: kind for kind, names in lists.items() for name in names}
    return rows.select(
        "user_id",
        *(F.coalesce(F.col(name), F.array().cast(kind)).alias(name) for name, kind in kinds.items()),
        *(F.coalesce(F.col(name), F.lit(0)).cast("long").alias(name) for name in ("events_total", "baskets_total")),
    )


_STRING_LISTS = ("history_event_ids", "history_items", "history_types", "own_items", "profile_keys", "profile_values")
_FLOAT_LISTS = ("own_counts", "own_decayed_counts")
_TIME_LISTS = ("history_timestamps", "own_first_timestamps", "own_last_timestamps")


def histories(interest: DataFrame, length: int) -> DataFrame:
    """The last `length` events of each user, oldest first by (time, event_id), as parallel lists."""
    newest = Window.partitionBy("user_id").orderBy(F.desc("time"), F.desc("event_id"))
    kept = interest.select("user_id", "time", "event_id", "item_id", "event_type")
    kept = kept.withColumn("_place", F.row_number().over(newest)).where(F.col("_place") <= length)
    lists = sequences(kept)
    return lists.select(
        "user_id",
        F.col("event_ids").alias("history_event_ids"),
        F.col("items").alias("history_items"),
        F.col("types").alias("history_types"),
        F.col("timestamps").alias("history_timestamps"),
    )


def sequences(interest: DataFrame) -> DataFrame:
    """All given events of each user, oldest first by (time, event_id), as parallel lists."""
    event = F.struct("time", "event_id", "item_id", "event_type")
    ordered = interest.groupBy("user_id").agg(F.sort_array(F.collect_list(event)).alias("events"))
    return ordered.select(
        "user_id",
        F.col("events.event_id").alias("event_ids"),
        F.col("events.item_id").alias("items"),
        F.col("events.event_type").alias("types"),
        F.col("events.time").alias("timestamps"),
    )


def own_items(user_items: DataFrame, settings: FeatureSettings) -> DataFrame:
    """Each user's items, largest decayed count first (then by id), as parallel lists of at most `affinity_items`."""
    item = F.struct(
        (-F.col("decayed_count")).alias("rank"),
        "item_id",
        "count",
        "decayed_count",
        "first_timestamp",
        "last_timestamp",
    )
    ordered = F.slice(F.sort_array(F.collect_list(item)), 1, settings.affinity_items)
    return (
        user_items.groupBy("user_id")
        .agg(ordered.alias("own"))
        .select(
            "user_id",
            F.col("own.item_id").alias("own_items"),
            F.col("own.count").alias("own_counts"),
            F.col("own.decayed_count").alias("own_decayed_counts"),
            F.col("own.first_timestamp").alias("own_first_timestamps"),
            F.col("own.last_timestamp").alias("own_last_timestamps"),
        )
    )


def totals(interest: DataFrame) -> DataFrame:
    """Events and distinct event times (baskets) of each user."""
    times = interest.select("user_id", "time").groupBy("user_id", "time").agg(F.count("*").alias("events"))
    return times.groupBy("user_id").agg(F.sum("events").alias("events_total"), F.count("*").alias("baskets_total"))


def profiles(users: DataFrame, as_of: datetime) -> DataFrame:
    """Each profile as two parallel lists, keys in alphabetical order."""
    entries = F.sort_array(F.map_entries("profile"))
    return current_at(users, as_of).select(
        "user_id", entries.getField("key").alias("profile_keys"), entries.getField("value").alias("profile_values")
    )


def _decay(time: str, as_of: datetime, settings: FeatureSettings) -> Column:
    half_lives = (F.lit(microseconds(as_of)) - F.col(time)) / (settings.affinity_half_life_days * _DAY_US)
    return F.round(F.pow(F.lit(0.5), half_lives) * _UNIT).cast("long")


def _is(*types: EventType) -> Column:
    return F.col("event_type").isin(*sorted(kind.value for kind in types))
