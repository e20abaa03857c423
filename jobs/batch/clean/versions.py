"""Versions of users and items (slowly changing, type 2): every arrival in its order, however many a run brings.

The versions are a left fold over the arrivals, so that they do not depend on how often `clean` ran.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F

from headrace.events import EARLIEST_TIMESTAMP
from headrace.tables import Table

ARRIVAL = ("arrival", "received_at", "source", "source_offset")
"""Columns that order the rows of one id."""
Content = Callable[[WindowSpec], Sequence[Column]]
"""The content columns of a version after a row, from the window of the rows of its id so far."""


def current_at(versions: DataFrame, as_of: datetime) -> DataFrame:
    """The version of each user or item valid at `as_of`."""
    ended = F.col("valid_to").isNotNull() & (F.col("valid_to") <= F.lit(as_of))
    return versions.where((F.col("valid_from") <= F.lit(as_of)) & ~ended)


def as_arrivals(existing: DataFrame) -> DataFrame:
    """The current versions as the rows that arrived before all others."""
    return existing.where(F.col("valid_to").isNull()).select(
        *(name for name in existing.columns if name not in ("valid_from", "valid_to")),
        F.lit(-1).cast("long").alias("arrival"),
        F.col("valid_from").alias("received_at"),
        F.lit("").alias("source"),
        F.lit(0).cast("long").alias("source_offset"),
    )


def versions_in_order(
    existing: DataFrame, rows: DataFrame, table: Table, content: Content, returned: Column | None = None
) -> DataFrame:
    """All versions after `rows`: arrivals, those of `as_arrivals(existing)` among them.

    The first delivery of an id is valid from the beginning of time, unless the id has `returned` (was there before, and
    removed); a later row from when it was received, or from the start of the version before it: the past is not
    rewritten. Of several at one moment the last one counts; one that changes nothing is no version.
    """
    key = table.key[0]
    in_order = Window.partitionBy(key).orderBy(*ARRIVAL)
    so_far = in_order.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    delivery = F.struct("arrival", "received_at")
    is_first = (F.col("arrival") >= 0) & (F.first(delivery).over(so_far) == delivery)
    stated = rows.select(
        key,
        *ARRIVAL,
        F.struct(*content(so_far)).alias("_content"),
        (is_first if returned is None else is_first & ~returned).alias("_is_first"),
    )
    text = F.to_json("_content")
    before = F.lag(text).over(in_order)
    changed = stated.withColumn("_is_new", before.isNull() | (before != text)).where("_is_new")
    moment = F.when(F.col("_is_first"), F.lit(EARLIEST_TIMESTAMP)).otherwise(F.col("received_at"))
    started = changed.withColumn("valid_from", F.max(moment).over(so_far)).withColumn(
        "_place", F.row_number().over(in_order)
    )
    newest = Window.partitionBy(key, "valid_from").orderBy(F.desc("_place"))
    last = started.withColumn("_rank", F.row_number().over(newest)).where("_rank = 1")
    by_time = Window.partitionBy(key).orderBy("valid_from")
    open_end = last.select(key, "_content.*", "valid_from", F.lead("valid_from").over(by_time).alias("valid_to"))
    ended = existing.where(F.col("valid_to").isNotNull())
    return ended.select(*table.schema.names).unionByName(open_end)
