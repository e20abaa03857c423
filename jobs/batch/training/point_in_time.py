"""Point-in-time joins: each labelled row with the feature row that was known of its entity at its time.

What is found by the times, is found in the times alone: keys, times and labels are sorted once, and a running maximum
walks over them; the features themselves are fetched once, for the rows that were chosen. The cost grows with labels +
feature rows, not with their product.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from jobs.batch.engine.lake import computed
from jobs.batch.engine.row_positions import FILE, IDENTITY, TIMES, by_position, position, rows_at, together


def point_in_time(labels: DataFrame, features: DataFrame, key: str, time: str, columns: Sequence[str]) -> DataFrame:
    """Every row of `labels` with `columns` of `features` (rows of a table, filtered or not) as known at `labels.time`.

    That is the newest row of the entity by (`event_timestamp`, `created_timestamp`) of those that speak of a moment up
    to the time and had been computed by then: a row computed later, with corrected data, would leak into the past.
    Where there is none, `columns` are null. (key, event_timestamp, created_timestamp) is unique in `features`; `labels`
    may hold a row twice and keeps it so. Raises ValueError where both have a column of one name beside the key.
    """
    if both := set(labels.columns) & set(columns):
        raise ValueError(f"labels and features both have {', '.join(sorted(both))}: rename one of them")
    kept = list(labels.columns)
    fetched = StructType([features.schema[name] for name in columns])
    wanted = to_arrow_schema(fetched)

    def fetch(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in together(batches):
            for piece, rows in rows_at(batch, key, wanted):
                given = [piece.column(name) for name in kept]
                yield pa.RecordBatch.from_arrays([*given, *rows.columns], [*kept, *wanted.names])

    chosen = by_position(
        computed(_chosen(labels, features, key, time))
    )  # by_position looks at the rows before it moves them
    return chosen.mapInArrow(fetch, StructType([*labels.schema.fields, *fetched.fields]))


def _chosen(labels: DataFrame, features: DataFrame, key: str, time: str) -> DataFrame:
    """`labels` with the place of the feature row to take, null where nothing was known."""
    about, computed = IDENTITY[1:]
    known = features.select(*position(key), F.greatest(*TIMES).alias("_time")).select(
        "_key", "_time", F.struct(about, computed, FILE).alias("_version")
    )
    label = F.struct(*labels.columns)
    asked = labels.select(F.col(key).alias("_key"), F.col(time).alias("_time"), label.alias("_label"))
    # Rows of one time are peers in a range: what becomes known at the label's very time counts.
    so_far = Window.partitionBy("_key").orderBy("_time").rangeBetween(Window.unboundedPreceding, Window.currentRow)
    both = known.unionByName(asked, allowMissingColumns=True)
    walked = both.withColumn("_chosen", F.max("_version").over(so_far)).where(F.col("_label").isNotNull())
    return walked.select("_label.*", f"_chosen.{FILE}", "_key", f"_chosen.{about}", f"_chosen.{computed}")
