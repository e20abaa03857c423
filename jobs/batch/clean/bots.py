"""Bot filter: subjects with rates above the limits, by day. They are flagged, and features exclude them."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headrace.settings.jobs import CleanSettings
from headrace.tables import SILVER_BOTS, SILVER_EVENTS
from jobs.batch.engine.lake import Lake

TOO_FAST, TOO_MANY = "too_fast", "too_many"
_CHECKED = "judged_until"


def flag_bots(lake: Lake, settings: CleanSettings) -> int:
    """Check the subjects of all days with new events since the last run again; returns the number of rows flagged.

    The last version checked is recorded in the table's own commits, so that the next run covers an interrupted one.
    """
    done, until = lake.note(SILVER_BOTS, _CHECKED, -1), lake.version(SILVER_EVENTS)
    days = lake.days_appended(SILVER_EVENTS, done)
    if not days:
        return 0
    events = lake.read(SILVER_EVENTS).where(F.col("day").isin(days))
    return lake.overwrite_days(impossible_rates(events, settings), SILVER_BOTS, days, {_CHECKED: until})


def forget_flags(lake: Lake) -> None:
    """Empty `silver.bots`; the next check begins after the events' newest version."""
    lake.overwrite(lake.read(SILVER_BOTS, -1), SILVER_BOTS, {_CHECKED: lake.version(SILVER_EVENTS)})


def impossible_rates(events: DataFrame, settings: CleanSettings) -> DataFrame:
    """Rows of `silver.bots`: subjects and days with more moments in one minute, or events in all, than allowed.

    The rate counts distinct event times, not events: the hundred lines of one receipt have one time.
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
    """The events without those of flagged subjects on the days they were flagged for."""
    flagged = bots.select("subject_id", "day").distinct()
    return events.join(F.broadcast(flagged), ["subject_id", "day"], "left_anti")
