"""Bot filter: subjects with rates that no person reaches, by day. They are flagged, and features leave them out."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headrace.settings.jobs import CleanSettings
from headrace.tables import SILVER_BOTS, SILVER_EVENTS
from jobs.batch.engine.lake import Lake

TOO_FAST, TOO_MANY = "too_fast", "too_many"
_CHECKED = "judged_until"


def flag_bots(lake: Lake, settings: CleanSettings) -> int:
    """Check the subjects anew of all days that got events since the last time; returns how many rows were flagged.

    How far the last time came is noted in the table's own commits, so that a run that was cut off is made up for.
    """
    done, until = lake.note(SILVER_BOTS, _CHECKED, -1), lake.version(SILVER_EVENTS)
    days = lake.days_appended(SILVER_EVENTS, done)
    if not days:
        return 0
    events = lake.read(SILVER_EVENTS).where(F.col("day").isin(days))
    return lake.overwrite_days(impossible_rates(events, settings), SILVER_BOTS, days, {_CHECKED: until})


def impossible_rates(events: DataFrame, settings: CleanSettings) -> DataFrame:
    """Rows of `silver.bots`: subjects and days with more moments in one minute, or events in all, than allowed.

    Moments, not events, make the rate: the hundred lines of one receipt have one time.
    """
    moments = events.groupBy("day", "subject_id", "timestamp").agg(F.count("*").alias("events"))
    minutes = moments.groupBy("day", "subject_id", F.date_trunc("minute", "timestamp").alias("minute")).agg(
        F.count("*").alias("moments"), F.sum("events").alias("events")
    )
    rates = minutes.groupBy("day", "subject_id").agg(F.max("moments").alias("fast"), F.sum("events").alias("many"))
    limits = {TOO_FAST: ("fast", settings.moments_per_minute), TOO_MANY: ("many", settings.events_per_day)}
    found = (
        F.when(
            F.col(name) > most,
            F.struct(F.lit(reason).alias("reason"), F.col(name).alias("seen"), F.lit(most).alias("allowed")),
        )
        for reason, (name, most) in limits.items()
    )
    return rates.select("subject_id", "day", F.inline(F.array_compact(F.array(*found))))


def without_bots(events: DataFrame, bots: DataFrame) -> DataFrame:
    """The events but for those of flagged subjects on the days they were flagged for."""
    flagged = bots.select("subject_id", "day").distinct()
    return events.join(F.broadcast(flagged), ["subject_id", "day"], "left_anti")
