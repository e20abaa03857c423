"""Job `materialise`: new rows of the gold features → the online store, in the feature store's row format.

Written from Spark's workers, so that a table never passes through the driver. A row in the store with a later
event_timestamp is kept; rows of entities that are not in the tables are not changed. The progress of a view is stored
in the store itself: an emptied store gets all rows again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date, timedelta

import redis
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headrace.errors import ServiceError
from headrace.features.rows import ITEM_KEY, ITEM_VIEW, USER_KEY, USER_VIEW, feature_names
from headrace.settings import Settings
from headrace.settings.engines import StoreSettings
from headrace.tables import GOLD_ITEM_FEATURES, GOLD_USER_FEATURES, end_of
from jobs.batch.engine.lake import Lake
from jobs.batch.engine.row_positions import FILE, IDENTITY, by_position, position
from jobs.batch.online.writer import OnlineView, partition_writer

VIEWS = (
    OnlineView(USER_VIEW, USER_KEY, GOLD_USER_FEATURES),
    OnlineView(ITEM_VIEW, ITEM_KEY, GOLD_ITEM_FEATURES),
)
_CONNECT_TIMEOUT_S = 10.0
_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class Progress:
    """Progress of a view: the newest times among the rows written, in microseconds since 1970."""

    event_timestamp: int
    created_timestamp: int
    made_of: str
    """The table's address and its features: progress of another table, or with other features, is ignored."""


def materialise(lake: Lake, settings: Settings, day: date, full: bool = False) -> int:
    """Write the features up to `day`; returns the number of rows written (not those that are newer in the store).

    Only rows that are new since the last run are read, and with `full` all of them. Raises HeadraceError where the
    day's features are missing, ServiceError where the store is not reachable.
    """
    with redis.Redis.from_url(settings.store.url, socket_timeout=_CONNECT_TIMEOUT_S) as store:
        _check(store, settings.store.url)
        with ThreadPoolExecutor(len(VIEWS)) as both:  # for a small view Spark's start of a query takes longest
            return sum(both.map(lambda view: _materialise_view(lake, settings.store, store, view, day, full), VIEWS))


def _materialise_view(
    lake: Lake, settings: StoreSettings, store: redis.Redis, view: OnlineView, day: date, full: bool
) -> int:
    made_of = f"{lake.path(view.table)}: {' '.join(feature_names(view.table.schema))}"
    before = None if full else _progress(store, view, made_of)
    rows = lake.read(view.table).where(F.col("event_timestamp") <= F.lit(end_of(day)))
    is_new = new_since(before, timedelta(hours=settings.overlap_hours)) if before else F.lit(True)
    days = _days(rows, is_new)
    if day not in days:
        raise lake.missing_day(view.table, day, made_by="features")
    fresh = [newest for newest in days.values() if newest is not None]
    if not fresh:
        return 0
    with_new = [each for each, newest in days.items() if newest is not None]
    written = write_view(newest_positions(rows.where(is_new), view.key, with_new), view, settings)
    known = [(before.event_timestamp, before.created_timestamp)] if before else []
    event, created = (max(times) for times in zip(*fresh, *known, strict=True))
    store.set(_progress_key(view), json.dumps(asdict(Progress(event, created, made_of))))
    return written


def _days(rows: DataFrame, is_new: Column) -> dict[date, tuple[int, int] | None]:
    """The existing days, each with the newest times (event, created) of its new rows; None where it has none."""
    times = (F.max(F.when(is_new, F.unix_micros(name))) for name in ("event_timestamp", "created_timestamp"))
    found = rows.groupBy("day").agg(*times).collect()
    return {day: None if event is None else (event, created) for day, event, created in found}


def write_view(positions: DataFrame, view: OnlineView, settings: StoreSettings) -> int:
    """Write the rows at these positions, preferably in file order; returns the number of rows the store accepted."""
    writer = partition_writer(view, settings.url, settings.feature_row_ttl_days * _SECONDS_PER_DAY)
    written = positions.mapInArrow(writer, "written long")
    return int(written.groupBy().sum("written").head()[0] or 0)


def new_since(before: Progress, overlap: timedelta) -> Column:
    """Whether a row has a later event or created time than the rows written before, less the overlap."""
    back = round(overlap.total_seconds() * 1_000_000)
    about = F.col("event_timestamp") > F.timestamp_micros(F.lit(before.event_timestamp - back))
    return about | (F.col("created_timestamp") > F.timestamp_micros(F.lit(before.created_timestamp - back)))


def newest_positions(rows: DataFrame, key: str, days: Sequence[date]) -> DataFrame:
    """The position of each entity's newest row, by event time, then by created time, of `rows` of these days.

    A day has one row per entity, so that a single day needs neither a search nor a sort.
    """
    positions = rows.where(F.col("day").isin(list(days))).select(*position(key))
    if len(days) == 1:
        return positions
    entity, *times = IDENTITY
    newest = positions.groupBy(entity).agg(F.max(F.struct(*times, FILE)).alias("newest"))
    return by_position(newest.select(entity, "newest.*"))


def _progress_key(view: OnlineView) -> str:
    return f"headrace:materialised:{view.name}"


def _progress(store: redis.Redis, view: OnlineView, made_of: str) -> Progress | None:
    """Progress of the last run, if it wrote the same features of the same table."""
    raw = store.get(_progress_key(view))
    noted = Progress(**json.loads(raw)) if raw else None  # type: ignore[arg-type]
    return noted if noted and noted.made_of == made_of else None


def _check(store: redis.Redis, url: str) -> None:
    try:
        store.ping()
    except redis.RedisError as error:
        raise ServiceError(
            f"the online store at {url} is not reachable ({type(error).__name__})",
            "Start it with `headrace up`, or set HEADRACE_STORE__URL",
        ) from None
