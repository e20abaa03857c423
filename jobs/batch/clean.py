"""Job `clean`: bronze → silver, one typed row per `event_id`; what breaks the contract → `bronze.rejected_events`.

Only rows that arrived in bronze since the last run are read; how far the last run came is noted in the silver table's
own commits. Of several rows with one `event_id` the first to arrive stays: running late or twice changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headrace.settings_groups import CleanSettings
from headrace.tables import (
    BRONZE_EVENTS,
    BRONZE_ITEMS,
    BRONZE_USERS,
    REJECTED_EVENTS,
    SILVER_EVENTS,
    SILVER_ITEMS,
    SILVER_USERS,
    Table,
)
from jobs.batch.event_rules import checked
from jobs.batch.lake import Lake
from jobs.batch.machines import flag_machines
from jobs.batch.profiles import checked_items, checked_users, next_versions

ARRIVAL_ORDER = ("arrival", "received_at", "source", "source_partition", "source_offset")
_CLEANED = "cleaned_until"


@dataclass(frozen=True)
class Cleaned:
    """Rows that one run added."""

    events: int
    rejected: int
    items: int
    users: int
    machines: int = 0
    """Subjects flagged on the days that got events."""


def clean(lake: Lake, settings: CleanSettings) -> Cleaned:
    """Bring silver up to date with everything in bronze. Data without metadata gets empty tables of items and users."""
    for table in (SILVER_ITEMS, SILVER_USERS, SILVER_EVENTS):
        lake.ensure(table)
    rejected_items, items = _clean_versions(lake, BRONZE_ITEMS, SILVER_ITEMS)
    rejected_users, users = _clean_versions(lake, BRONZE_USERS, SILVER_USERS)
    rejected_events, events = _clean_events(lake)
    machines = flag_machines(lake, settings)
    return Cleaned(events, rejected_events + rejected_items + rejected_users, items, users, machines)


def typed_events(judged: DataFrame) -> DataFrame:
    """The good rows of `event_rules.checked` as `silver.events`, of each `event_id` the first to arrive.

    Only ids and places are shuffled to find repeats: they are few, and the rows are wide.
    """
    good = judged.where(F.col("refused").isNull()).withColumn("day", F.to_date("timestamp"))
    place = F.struct(*ARRIVAL_ORDER)
    repeats = good.groupBy("event_id").agg(F.count("*").alias("times"), F.min(place).alias("first")).where("times > 1")
    joined = good.join(repeats, "event_id", "left")
    return joined.where(F.col("first").isNull() | (F.col("first") == place))


def rejected_rows(judged: DataFrame) -> DataFrame:
    """The refused rows with reason and field, and a message that names the row."""
    name = F.regexp_replace("source", "^file:(.*)#[0-9a-f]{16}$", "$1")
    field = F.when(
        F.col("refused.field") != "", F.concat(F.lit(": '"), F.col("refused.field"), F.lit("': "))
    ).otherwise(F.lit(": "))
    message = F.concat(name, F.lit(", row "), F.col("source_offset"), field, F.col("refused.message"))
    return judged.where(F.col("refused").isNotNull()).select(
        "*", F.col("refused.reason").alias("reason"), F.col("refused.field").alias("field"), message.alias("message")
    )


def _clean_events(lake: Lake) -> tuple[int, int]:
    done, until = lake.note(SILVER_EVENTS, _CLEANED, -1), lake.version(BRONZE_EVENTS)
    if until <= done:
        return 0, 0
    # Kept, because it is read twice, and because a filter on `refused` would be pushed down with all the rules inlined.
    judged = checked(lake.appended(BRONZE_EVENTS, done)).persist(StorageLevel.DISK_ONLY)
    try:
        rejected = _keep_refused(lake, judged)
        events = lake.append_new(typed_events(judged), SILVER_EVENTS, {_CLEANED: until})
    finally:
        judged.unpersist()
    return rejected, events


def _clean_versions(lake: Lake, source: Table, table: Table) -> tuple[int, int]:
    """Take new rows of a users or items file into the versions that silver keeps."""
    done, until = lake.note(table, _CLEANED, -1), lake.version(source)
    if until <= done:
        return 0, 0
    judge = checked_items if table is SILVER_ITEMS else checked_users
    judged = judge(lake.appended(source, done))
    judged = judged.persist(StorageLevel.DISK_ONLY)
    try:
        rejected = _keep_refused(lake, judged)
        good = judged.where(F.col("refused").isNull())
        lake.overwrite(next_versions(lake.read(table), good, table), table, {_CLEANED: until})
        return rejected, good.count()
    finally:
        judged.unpersist()


def _keep_refused(lake: Lake, judged: DataFrame) -> int:
    """Append the refused rows to quarantine; most runs have none, which is cheap to see."""
    refused = rejected_rows(judged)
    return 0 if refused.isEmpty() else lake.append_new(refused, REJECTED_EVENTS)
