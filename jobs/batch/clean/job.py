"""Job `clean`: bronze → silver, one typed row per `event_id`; what breaks the contract → `bronze.rejected_events`.

Only rows that arrived in bronze since the last run are read; the last version read is recorded in the silver table's
own commits. A table without such a record is made of all of bronze. Of several rows with one `event_id` the first to
arrive is kept: running late or twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headrace.settings.jobs import CleanSettings
from headrace.tables import (
    BRONZE_EVENTS,
    BRONZE_ITEMS,
    BRONZE_USERS,
    REJECTED_EVENTS,
    SILVER_EVENTS,
    SILVER_ITEM_STATES,
    SILVER_ITEMS,
    SILVER_USERS,
    Table,
)
from jobs.batch.clean.bots import flag_bots, forget_flags
from jobs.batch.clean.event_rules import checked
from jobs.batch.clean.item_rules import checked_items
from jobs.batch.clean.item_states import next_states
from jobs.batch.clean.profiles import checked_users, next_versions
from jobs.batch.engine.lake import Lake, computed, if_few
from jobs.batch.engine.personal_rows import requests

ARRIVAL_ORDER = ("arrival", "received_at", "source", "source_partition", "source_offset")
_CLEANED = "cleaned_until"
_Versions = Callable[[DataFrame, DataFrame], DataFrame]
"""All versions of a table, from its existing versions and newly arrived valid rows."""
_OF_ITEMS: Mapping[Table, _Versions] = {
    SILVER_ITEMS: partial(next_versions, table=SILVER_ITEMS),
    SILVER_ITEM_STATES: next_states,
}


@dataclass(frozen=True)
class Cleaned:
    """Rows that one run added."""

    events: int
    rejected: int
    items: int
    users: int
    bots: int = 0
    """Subjects flagged on the days with new events."""


def clean(lake: Lake, settings: CleanSettings) -> Cleaned:
    """Bring silver up to date with everything in bronze. Data without metadata gets empty tables of items and users."""
    for table in (*_OF_ITEMS, SILVER_USERS, SILVER_EVENTS):
        lake.ensure(table)
    of_users = {SILVER_USERS: partial(next_versions, table=SILVER_USERS, forgotten=requests(lake).keys())}
    rejected_items, items = _clean_versions(lake, BRONZE_ITEMS, checked_items, _OF_ITEMS)
    rejected_users, users = _clean_versions(lake, BRONZE_USERS, checked_users, of_users)
    rejected_events, events = _clean_events(lake)
    bots = flag_bots(lake, settings)
    return Cleaned(events, rejected_events + rejected_items + rejected_users, items, users, bots)


def rebuild(lake: Lake, settings: CleanSettings) -> Cleaned:
    """Make silver and the quarantine again from all of bronze, whatever was in them; other tables stay as they are.

    Interrupted, the next `clean` completes it: each emptied table begins anew.
    """
    for table in (*_OF_ITEMS, SILVER_USERS, SILVER_EVENTS, REJECTED_EVENTS):
        lake.overwrite(lake.read(table, -1), table, {_CLEANED: -1})
    forget_flags(lake)
    return clean(lake, settings)


def typed_events(validated: DataFrame) -> DataFrame:
    """The valid rows of `event_rules.checked` as `silver.events`, of each `event_id` the first to arrive.

    Repeats are computed first, on the ids alone: the wide rows are joined only if there are any, and only with those.
    """
    good = validated.where(F.col("refused").isNull())
    good = good.withColumn("day", F.to_date("timestamp")).withColumn("extra", F.col("raw"))
    repeated = computed(repeats(good).select("event_id"))
    if repeated.isEmpty():
        return good
    arrival_order = F.struct(*ARRIVAL_ORDER)
    first = (
        good.join(if_few(repeated), "event_id", "left_semi")
        .groupBy("event_id")
        .agg(F.min(arrival_order).alias("first"))
    )
    joined = good.join(if_few(computed(first)), "event_id", "left")
    return joined.where(F.col("first").isNull() | (F.col("first") == arrival_order))


def repeats(good: DataFrame) -> DataFrame:
    """`event_id` of each event that arrived in several rows, and how many `times`."""
    return good.groupBy("event_id").agg(F.count(F.lit(1)).alias("times")).where("times > 1")


def rejected_rows(validated: DataFrame) -> DataFrame:
    """The refused rows with reason and field, and a message that names the row."""
    name = F.regexp_replace("source", "^file:(.*)#[0-9a-f]{16}$", "$1")
    field = F.when(
        F.col("refused.field") != "", F.concat(F.lit(": '"), F.col("refused.field"), F.lit("': "))
    ).otherwise(F.lit(": "))
    message = F.concat(name, F.lit(", row "), F.col("source_offset"), field, F.col("refused.message"))
    return validated.where(F.col("refused").isNotNull()).select(
        "*", F.col("refused.reason").alias("reason"), F.col("refused.field").alias("field"), message.alias("message")
    )


def _clean_events(lake: Lake) -> tuple[int, int]:
    done, until = lake.note(SILVER_EVENTS, _CLEANED, -1), lake.version(BRONZE_EVENTS)
    if until <= done:
        return 0, 0
    # Persisted: it is read twice, and a filter on `refused` would be pushed down with all the rules inlined.
    validated = checked(lake.appended(BRONZE_EVENTS, done)).persist(StorageLevel.DISK_ONLY)
    try:
        rejected = _keep_refused(lake, validated)
        events = lake.append_new(typed_events(validated), SILVER_EVENTS, {_CLEANED: until})
    finally:
        validated.unpersist()
    return rejected, events


def _clean_versions(
    lake: Lake, source: Table, validate: Callable[[DataFrame], DataFrame], targets: Mapping[Table, _Versions]
) -> tuple[int, int]:
    """Merge new rows of users or items files into the versions of each target table; returns rows refused and accepted.

    Each target records its own progress: after a crash between two of them, or if one is new, it continues by itself.
    """
    until, rejected, accepted = lake.version(source), 0, 0
    behind: dict[int, list[Table]] = {}
    for table in targets:
        behind.setdefault(lake.note(table, _CLEANED, -1), []).append(table)
    for done, tables in behind.items():
        if until <= done:
            continue
        validated = validate(lake.appended(source, done)).persist(StorageLevel.DISK_ONLY)
        try:
            rejected += _keep_refused(lake, validated)
            good = validated.where(F.col("refused").isNull())
            for table in tables:
                lake.overwrite(targets[table](lake.read(table), good), table, {_CLEANED: until})
            accepted = max(accepted, good.count())
        finally:
            validated.unpersist()
    return rejected, accepted


def _keep_refused(lake: Lake, validated: DataFrame) -> int:
    """Append the refused rows to quarantine; most runs have none, which is cheap to see."""
    refused = rejected_rows(validated)
    return 0 if refused.isEmpty() else lake.append_new(refused, REJECTED_EVENTS)
