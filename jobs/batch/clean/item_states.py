"""Price, availability, promotions and block of items: their own history, separate from the item's description.

A row of an items file changes only the states that it has; a state that is null or missing is unchanged.
"""

from __future__ import annotations

from datetime import datetime

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from headrace.events import EARLIEST_TIMESTAMP
from headrace.tables import SILVER_ITEM_STATES
from jobs.batch.clean.profiles import current_at

STATES = ("price", "available", "promotion", "blocked", "promotion_calendar")
ENDED = ("promotion", "promotion_calendar")
"""States that end with the word `NO_PROMOTION`."""
NO_PROMOTION = "none"
"""Value in a file for an ended promotion (in any letter case): an empty field leaves it unchanged."""
_ORDER = ("arrival", "received_at", "source", "source_offset")


def next_states(existing: DataFrame, arrived: DataFrame) -> DataFrame:
    """All versions of `silver.item_states` after the valid rows `arrived`, of which the later arrival wins, by state.

    The first version of an item is valid from the beginning of time. A row received at an earlier clock than
    the current version is valid from that version's start: the past is not rewritten.
    """
    with_any_state = arrived.where(F.coalesce(*(F.col(name).cast("string") for name in STATES)).isNotNull())
    rows = with_any_state.select("item_id", *STATES, *_ORDER)
    current = existing.where(F.col("valid_to").isNull()).select(
        "item_id",
        *(F.coalesce(name, F.lit(NO_PROMOTION)).alias(name) if name in ENDED else name for name in STATES),
        F.lit(-1).cast("long").alias("arrival"),
        F.col("valid_from").alias("received_at"),
        F.lit("").alias("source"),
        F.lit(0).cast("long").alias("source_offset"),
    )
    so_far = Window.partitionBy("item_id").orderBy(*_ORDER)
    stated = current.unionByName(rows).select(
        "item_id",
        *(F.last(name, ignorenulls=True).over(so_far).alias(name) for name in STATES),
        F.max("received_at").over(so_far).alias("valid_from"),
        F.row_number().over(so_far).alias("_rank"),
        F.max(F.col("arrival") < 0).over(so_far).alias("_existing"),
    )
    return _ended(existing).unionByName(_versions(stated))


def with_states(items: DataFrame, states: DataFrame, as_of: datetime) -> DataFrame:
    """All versions of `silver.items`, each with the item's states at `as_of` as further columns.

    An item without any given state is available, not blocked, in no promotion and has no price.
    """
    joined = items.join(current_at(states, as_of).select("item_id", *STATES), "item_id", "left")
    defaults = {"available": F.coalesce("available", F.lit(True)), "blocked": F.coalesce("blocked", F.lit(False))}
    return joined.withColumns(defaults)


def _versions(stated: DataFrame) -> DataFrame:
    """The open end of each item's history: the last values at each time, where they differ from those before."""
    of_moment = Window.partitionBy("item_id", "valid_from").orderBy(F.desc("_rank"))
    by_time = Window.partitionBy("item_id").orderBy("valid_from")
    last = stated.withColumn("_last", F.row_number().over(of_moment)).where("_last = 1")
    content = F.struct(
        "price",
        F.coalesce("available", F.lit(True)).alias("available"),
        *(F.when(F.col(name) != NO_PROMOTION, F.col(name)).alias(name) for name in ENDED),
        F.coalesce("blocked", F.lit(False)).alias("blocked"),
    )
    stated_before = F.lag("_now").over(by_time)
    changed = (
        last.withColumn("_now", content)
        .withColumn("_first", stated_before.isNull())
        .withColumn("_same", stated_before.eqNullSafe(F.col("_now")))
        .where(~F.col("_same"))
    )
    since = F.when(F.col("_first") & ~F.col("_existing"), F.lit(EARLIEST_TIMESTAMP)).otherwise(F.col("valid_from"))
    return changed.select(
        "item_id",
        *(F.col(f"_now.{name}").alias(name) for name in STATES),
        since.alias("valid_from"),
        F.lead("valid_from").over(by_time).alias("valid_to"),
    )


def _ended(existing: DataFrame) -> DataFrame:
    return existing.where(F.col("valid_to").isNotNull()).select(*SILVER_ITEM_STATES.schema.names)
