"""Point-in-time joins: each labelled row with the feature row of its entity as of its time.

Rows are matched by their times alone: keys, times and labels are sorted once, with a running maximum over them; the
features themselves are read once, for the matched rows. The cost grows with labels + feature rows, not with their
product.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from jobs.batch.engine.lake import computed
from jobs.batch.engine.row_positions import FILE, IDENTITY, TIMES, by_position, combined, position, rows_at


def point_in_time(labels: DataFrame, features: DataFrame, key: str, time: str, columns: Sequence[str]) -> DataFrame:
    """Every row of `labels` with `columns` of `features` (rows of a table, filtered or not) as of `labels.time`.

    That is the newest row of the entity by (`event_timestamp`, `created_timestamp`) of those with an event_timestamp up
    to the time and had been computed by then: a row computed later, with corrected data, would leak into the past.
    Where there is none, `columns` are null. (key, event_timestamp, created_timestamp) is unique in `features`; `labels`
    may hold a row twice and keeps it so. Raises ValueError where both have a column of the same name besides the key.
    """
    if both := set(labels.columns) & set(columns):
        raise ValueError(f"labels and features both have {', '.join(sorted(both))}: rename one of them")
    kept = list(labels.columns)
    fetched = StructType([features.schema[name] for name in columns])
    wanted = to_arrow_schema(fetched)

    def fetch(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in combined(batches):
            for piece, rows in rows_at(batch, key, wanted):
                given = [piece.column(name) for name in kept]
                yield pa.RecordBatch.from_arrays([*given, *rows.columns], [*kept, *wanted.names])

    chosen = by_position(
        computed(_chosen(labels, features, key, time))
    )  # by_position samples the rows before it shuffles them
    return chosen.mapInArrow(fetch, StructType([*labels.schema.fields, *fetched.fields]))


def _chosen(labels: DataFrame, features: DataFrame, key: str, time: str) -> DataFrame:
    """`labels` with the position of the matching feature row, null where there is none."""
    about, computed = IDENTITY[1:]
    known = features.select(*position(key), F.greatest(*TIMES).alias("_time")).select(
        "_key", "_time", F.struct(about, computed, FILE).alias("_version")
    )
    label = F.struct(*labels.columns)
    asked = labels.select(F.col(key).alias("_key"), F.col(time).alias("_time"), label.alias("_label"))
    # Rows of one time are peers in a range: a feature row of exactly the label's time is included.
    so_far = Window.partitionBy("_key").orderBy("_time").rangeBetween(Window.unboundedPreceding, Window.currentRow)
    both = known.unionByName(asked, allowMissingColumns=True)
    walked = both.withColumn("_chosen", F.max("_version").over(so_far)).where(F.col("_label").isNotNull())
    return walked.select("_label.*", f"_chosen.{FILE}", "_key", f"_chosen.{about}", f"_chosen.{computed}")
