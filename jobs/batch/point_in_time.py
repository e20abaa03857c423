"""Point-in-time joins: each labelled row with the feature row that was known of its entity at its time.

What is found by the times, is found in the times alone: keys, times and labels are sorted once, and a running maximum
walks over them; the features themselves are fetched once, for the rows that were chosen. The cost grows with labels +
feature rows, not with their product.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

_TIMES = ("event_timestamp", "created_timestamp")


def point_in_time(
    labels: DataFrame, features: DataFrame, key: str, time: str, columns: Sequence[str] | None = None
) -> DataFrame:
    """Every row of `labels` with `columns` of `features` (default: all but the key) as known at `labels.time`.

    That is the newest row of the entity by (`event_timestamp`, `created_timestamp`) of those that speak of a moment up
    to the time and had been computed by then: a row computed later, with corrected data, would leak into the past.
    Where there is none, `columns` are null. (key, event_timestamp, created_timestamp) is unique in `features`; `labels`
    may hold a row twice and keeps it so. Raises ValueError where both have a column of one name beside the key.
    """
    taken = [name for name in features.columns if name != key] if columns is None else list(columns)
    if both := set(labels.columns) & set(taken):
        raise ValueError(f"labels and features both have {', '.join(sorted(both))}: rename one of them")
    placed = ["day"] if "day" in features.columns else []
    chosen = _chosen(labels, features, key, time, placed)
    marks = [*_TIMES, *placed]
    rows = features.select(
        F.col(key).alias("_key"), *(F.col(name).alias(f"_{name}") for name in marks), *(F.col(name) for name in taken)
    )
    same = F.col(key) == F.col("_key")
    for name in marks:  # one by one and not as a struct, so that Spark reads only the days that were chosen
        same &= F.col(f"_chosen.{name}") == F.col(f"_{name}")
    return chosen.join(rows, same, "left").select(*labels.columns, *taken)


def _chosen(labels: DataFrame, features: DataFrame, key: str, time: str, placed: Sequence[str]) -> DataFrame:
    """`labels` with `_chosen`: the times (and partition) of the feature row to take, null where nothing was known."""
    version = F.struct(*_TIMES, *placed)
    since = F.greatest(*_TIMES)
    label = F.struct(*labels.columns)
    known = features.select(F.col(key).alias("_key"), since.alias("_time"), version.alias("_version"))
    asked = labels.select(F.col(key).alias("_key"), F.col(time).alias("_time"), label.alias("_label"))
    # Rows of one time are peers in a range: what becomes known at the label's very time counts.
    so_far = Window.partitionBy("_key").orderBy("_time").rangeBetween(Window.unboundedPreceding, Window.currentRow)
    both = known.unionByName(asked, allowMissingColumns=True)
    walked = both.withColumn("_chosen", F.max("_version").over(so_far)).where(F.col("_label").isNotNull())
    return walked.select("_label.*", "_chosen")
