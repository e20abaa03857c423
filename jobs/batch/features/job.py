"""Job `features`: silver, as it last passed its checks, → the gold feature tables of a day."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import partial

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headrace.errors import HeadraceError
from headrace.features.context import DEVICE, SURFACE
from headrace.settings import Settings
from headrace.tables import (
    GOLD_ITEM_FEATURES,
    GOLD_USER_BEHAVIOUR,
    GOLD_USER_FEATURES,
    GOLD_USER_ITEM_FEATURES,
    SILVER_BOTS,
    SILVER_EVENTS,
    SILVER_ITEM_STATES,
    SILVER_ITEMS,
    SILVER_USERS,
    Table,
    end_of,
    microseconds,
)
from jobs.batch.clean.bots import without_bots
from jobs.batch.clean.item_states import with_states
from jobs.batch.engine.lake import Lake
from jobs.batch.engine.parallel import in_parallel
from jobs.batch.engine.verified import SILVER, published_versions
from jobs.batch.features.earlier_holdouts import lacking_holdouts
from jobs.batch.features.items import item_features
from jobs.batch.features.user_behaviour import user_behaviour
from jobs.batch.features.users import behaviour_before, interest_of, user_features, user_item_features, with_affinity

_PART_BYTES = 64 * 2**20
"""Bytes of event files per task: a task's memory must not grow with the table."""


def feature_days(lake: Lake, settings: Settings, day: date, *, holdout: bool) -> list[date]:
    """The days to compute: `day`, and with `holdout` first those that its training holdout, and earlier ones that no
    run has prepared, start after."""
    if not holdout:
        return [day]
    return settings.training.feature_days([*lacking_holdouts(lake, settings, day), day])


def days_with_late_events(lake: Lake, day: date, back: int) -> list[date]:
    """The days from `back` days before `day` on whose features were computed before events of that time had arrived.

    Each day's features carry the version of `silver.events` they were made of; only what was appended since is read.
    """
    if not back or not lake.exists(GOLD_USER_FEATURES):
        return []
    computed = lake.read(GOLD_USER_FEATURES).select("day").distinct()
    computed = computed.where((F.col("day") >= F.lit(day - timedelta(days=back))) & (F.col("day") < F.lit(day)))
    earliest: dict[int, date | None] = {}
    late = []
    for (each,) in sorted(computed.collect()):
        version = lake.note(GOLD_USER_FEATURES, _made_of(each), None)
        if version is None:
            continue
        if version not in earliest:
            earliest[version] = next(iter(lake.days_appended(SILVER_EVENTS, version)), None)
        arrived = earliest[version]
        if arrived is not None and arrived <= each:
            late.append(each)
    return late


def compute_features(lake: Lake, settings: Settings, *days: date, created: datetime | None = None) -> int:
    """Replace the gold feature partitions of the days; returns the rows written.

    `created` is the rows' created_timestamp (default: the end of each day, so that runs can be repeated).
    """
    if not lake.exists(SILVER_EVENTS):
        raise HeadraceError("table silver.events is empty", "Run `python -m jobs.batch ingest,clean` first")
    if not days:
        return 0
    versions = published_versions(lake)
    silver = {table: lake.read(table, versions[table.path]) for table in SILVER}
    events = without_bots(silver[SILVER_EVENTS], silver[SILVER_BOTS])
    # Read and shuffled once for all days and persisted on disk: every grouping of user features starts with the user.
    parts = max(settings.spark.shuffle_partitions, math.ceil(lake.size(SILVER_EVENTS) / _PART_BYTES))
    known = behaviour_before(events, end_of(max(days))).repartition(parts, "user_id")
    known = known.persist(StorageLevel.DISK_ONLY)
    try:
        rows = 0
        for day in days:
            recent = _recent(events, settings, day).repartition(parts, "user_id")
            note = {_made_of(day): versions[SILVER_EVENTS.path]}
            rows += _compute_day(lake, settings, day, known, recent, silver, note, created or end_of(day))
        return rows
    finally:
        known.unpersist()


def _recent(events: DataFrame, settings: Settings, day: date) -> DataFrame:
    """The behaviour of the trend window's days with its devices and surfaces, which no other features need."""
    since = (end_of(day) - timedelta(days=settings.features.trend_days)).date()
    return behaviour_before(events.where(F.col("day") >= F.lit(since)), end_of(day), DEVICE, SURFACE)


def _compute_day(
    lake: Lake,
    settings: Settings,
    day: date,
    known: DataFrame,
    recent: DataFrame,
    silver: Mapping[Table, DataFrame],
    note: dict[str, int],
    created: datetime,
) -> int:
    """The features of one day from the behaviour `known` until then or later; `note` has the version it was read of."""
    as_of = end_of(day)
    behaviour = known.where(F.col("time") < microseconds(as_of))
    interest = interest_of(behaviour)
    met = user_item_features(interest, as_of, settings.features).persist()
    try:
        catalogue = with_states(silver[SILVER_ITEMS], silver[SILVER_ITEM_STATES], as_of)
        items = item_features(met, behaviour, catalogue, as_of, settings.features)
        behaving = user_behaviour(met, recent, catalogue, as_of, settings.features)
        users = user_features(met, interest, silver[SILVER_USERS], as_of, settings.features)

        def write(table: Table, rows: DataFrame) -> int:
            return lake.overwrite_day(_timed(rows, as_of, created), table, day, note)

        number = write(GOLD_USER_ITEM_FEATURES, with_affinity(met))  # keeps the rows that the others read
        beside = ((GOLD_ITEM_FEATURES, items), (GOLD_USER_BEHAVIOUR, behaving))
        number += sum(in_parallel(*(partial(write, *each) for each in beside)))
        return number + write(GOLD_USER_FEATURES, users)  # last: its note says that the day is whole
    finally:
        met.unpersist()


def _made_of(day: date) -> str:
    return f"events_of_{day.isoformat()}"


def _timed(rows: DataFrame, as_of: datetime, created: datetime) -> DataFrame:
    return rows.withColumn("event_timestamp", F.lit(as_of)).withColumn("created_timestamp", F.lit(created))
