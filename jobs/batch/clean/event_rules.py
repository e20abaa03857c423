"""The event contract over whole tables: bronze rows with the event's typed fields, or with why they are refused.

The rules as Spark columns were slower: the generated code outgrew what the JVM compiles, and telling JSON types apart
took a second parser (docs/decisions/0008-one-event-contract.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from headrace.events import Reason, contract
from headrace.events.columns import JUDGED, judge_events


def checked(rows: DataFrame) -> DataFrame:
    """`rows` (with `raw` and `received_at`) plus the event's typed fields and `refused`.

    `refused` is null for a good event, else a struct of `reason`, `field` and `message`.
    """
    schema = StructType([*rows.schema.fields, *from_arrow_schema(JUDGED).fields])

    def judge(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            judged = judge_events(batch.column("raw").cast(pa.binary()), batch.column("received_at"))
            columns = [*batch.columns, *(column.combine_chunks() for column in judged.columns)]
            yield pa.RecordBatch.from_arrays(columns, [*batch.schema.names, *JUDGED.names])

    return with_text(rows).mapInArrow(judge, schema)


def with_text(rows: DataFrame) -> DataFrame:
    """The rows with a `raw` that is text: never null, and in base64 where the bytes are no UTF-8."""
    return rows.withColumn("raw", as_text(F.col("raw")))


def as_text(received: Column) -> Column:
    """The bytes or text as text; what is no UTF-8 as base64, which no contract accepts."""
    text = received.cast("string")
    base64 = F.concat(F.lit("base64:"), F.base64(received.cast("binary")))
    return F.coalesce(F.when(F.is_valid_utf8(text), text).otherwise(base64), F.lit(""))


def refusal(reason: Reason, field: str, message: Column) -> Column:
    """Why a row is refused."""
    return F.struct(F.lit(reason.value).alias("reason"), F.lit(field).alias("field"), message.alias("message"))


def trimmed(text: Column) -> Column:
    """Without the white space around it."""
    return F.btrim(text, F.lit(contract.WHITESPACE))


def number_in(text: Column) -> Column:
    """The number that a text is; null where it is none."""
    cut = trimmed(text)
    return F.when(cut.rlike(f"^({contract.NUMBER_PATTERN})$"), cut.try_cast("double"))
