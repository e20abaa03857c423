"""Who acts as no person can: subjects with impossible rates, by day. They are flagged, and features leave them out."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headrace.settings_groups import CleanSettings
from headrace.tables import SILVER_EVENTS, SILVER_MACHINES
from jobs.batch.lake import Lake

TOO_FAST, TOO_MANY = "too_fast", "too_many"
_JUDGED = "judged_until"


def flag_machines(lake: Lake, settings: CleanSettings) -> int:
    """Judge the subjects anew of all days that got events since the last time; returns how many rows were flagged.

    How far the last time came is noted in the table's own commits, so that a run that was cut off is made up for.
    """
    done, until = lake.note(SILVER_MACHINES, _JUDGED, -1), lake.version(SILVER_EVENTS)
    days = [row.day for row in lake.appended(SILVER_EVENTS, done).select("day").distinct().collect()]
    if not days:
        return 0
    events = lake.read(SILVER_EVENTS).where(F.col("day").isin(days))
    return lake.overwrite_days(impossible_rates(events, settings), SILVER_MACHINES, days, {_JUDGED: until})


def impossible_rates(events: DataFrame, settings: CleanSettings) -> DataFrame:
    """Rows of `silver.machines`: subjects and days with more moments in one minute, or events in all, than allowed.

    Moments, not events, make the rate: the hundred lines of one receipt have one time.
    """
    minutes = events.groupBy("day", "subject_id", F.date_trunc("minute", "timestamp").alias("minute")).agg(
        F.count("*").alias("events")
    )
    crowded = minutes.where(F.col("events") > settings.moments_per_minute)
    moments = (
        events.join(F.broadcast(crowded.select("day", "subject_id").distinct()), ["day", "subject_id"], "left_semi")
        .groupBy("day", "subject_id", F.date_trunc("minute", "timestamp").alias("minute"))
        .agg(F.countDistinct("timestamp").alias("moments"))
    )
    fast = moments.groupBy("day", "subject_id").agg(F.max("moments").alias("seen"))
    many = minutes.groupBy("day", "subject_id").agg(F.sum("events").alias("seen"))
    return _above(fast, settings.moments_per_minute, TOO_FAST).unionByName(
        _above(many, settings.events_per_day, TOO_MANY)
    )


def without_machines(events: DataFrame, machines: DataFrame) -> DataFrame:
    """The events but for those of flagged subjects on the days they were flagged for."""
    flagged = machines.select("subject_id", "day").distinct()
    return events.join(F.broadcast(flagged), ["subject_id", "day"], "left_anti")


def _above(rates: DataFrame, limit: int, reason: str) -> DataFrame:
    return rates.where(F.col("seen") > limit).select(
        "subject_id", F.lit(reason).alias("reason"), F.col("seen").cast("long"), F.lit(limit).alias("allowed"), "day"
    )
