"""Job `materialise`: the gold features of a day → the online store, in the feature store's own row format.

Written from Spark's partitions, so that a table never passes through the driver. A row in the store that speaks of a
later moment stays; rows of entities that the tables do not hold are left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import Any

import pyarrow as pa
import redis
from pyspark.sql import DataFrame

from headrace.errors import ServiceError
from headrace.feature_rows import (
    ITEM_KEY,
    ITEM_VIEW,
    USER_KEY,
    USER_VIEW,
    decode_time,
    encode_row,
    feature_names,
    row_key,
    time_field,
    value_kind,
)
from headrace.settings import Settings
from headrace.tables import GOLD_ITEM_FEATURES, GOLD_USER_FEATURES, Table
from jobs.batch.lake import Lake

VIEWS = ((USER_VIEW, USER_KEY, GOLD_USER_FEATURES), (ITEM_VIEW, ITEM_KEY, GOLD_ITEM_FEATURES))
_BATCH_ROWS = 500
_CONNECT_TIMEOUT_S = 10.0


def materialise(lake: Lake, settings: Settings, day: date) -> int:
    """Bring the store up to `day`; returns how many rows were written (newer ones in the store are not counted).

    Raises HeadraceError where the day's features are missing, ServiceError where the store does not answer.
    """
    _check_store(settings.store.url)
    return sum(
        write_view(lake.read_day(table, day, made_by="features"), view, key, table, settings.store.url)
        for view, key, table in VIEWS
    )


def write_view(rows: DataFrame, view: str, key: str, table: Table, url: str) -> int:
    """Write one table's rows; returns how many were not older than what the store held."""
    writer = partition_writer(view, key, table, url)
    written = rows.mapInArrow(writer, "written long")
    return int(written.groupBy().sum("written").head()[0] or 0)


def partition_writer(
    view: str, key: str, table: Table, url: str
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for `mapInArrow` that writes a partition and yields one number: the rows written."""

    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        kinds = {name: value_kind(table.schema.field(name).type) for name in feature_names(table.schema)}
        written = 0
        with redis.Redis.from_url(url, socket_timeout=60) as store:
            for batch in batches:
                for start in range(0, batch.num_rows, _BATCH_ROWS):
                    rows = batch.slice(start, _BATCH_ROWS).to_pylist()
                    written += _write_rows(store, view, key, kinds, rows)
        yield pa.record_batch([pa.array([written], pa.int64())], names=["written"])

    return write


def _write_rows(store: Any, view: str, key: str, kinds: dict[str, str], rows: list[dict[str, Any]]) -> int:
    keys = [row_key(key, row[key]) for row in rows]
    reads = store.pipeline(transaction=False)
    for each in keys:
        reads.hget(each, time_field(view))
    stored = reads.execute()
    writes = store.pipeline(transaction=False)
    for each, row, raw in zip(keys, rows, stored, strict=True):
        moment = row["event_timestamp"]
        held = decode_time(raw)
        if held is None or held <= round(moment.timestamp() * 1_000_000):
            writes.hset(each, mapping=encode_row(view, kinds, row, moment))
    return len(writes.execute())


def _check_store(url: str) -> None:
    try:
        with redis.Redis.from_url(url, socket_timeout=_CONNECT_TIMEOUT_S) as store:
            store.ping()
    except redis.RedisError as error:
        raise ServiceError(
            f"the online store at {url} does not answer ({type(error).__name__})",
            "Start it with `headrace up`, or set HEADRACE_STORE__URL",
        ) from None
