"""The event contract over whole tables: bronze rows with the event's typed fields, or with the reason of the refusal.

The rules as Spark columns were slower: the generated code exceeded what the JVM compiles, and detecting JSON types
required a second parser (docs/decisions/0008-one-event-contract.md).
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

    `refused` is null for a valid event, else a struct of `reason`, `field` and `message`.
    """
    schema = StructType([*rows.schema.fields, *from_arrow_schema(JUDGED).fields])

    def validate(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            validated = judge_events(batch.column("raw").cast(pa.binary()), batch.column("received_at"))
            columns = [*batch.columns, *(column.combine_chunks() for column in validated.columns)]
            yield pa.RecordBatch.from_arrays(columns, [*batch.schema.names, *JUDGED.names])

    return with_text(rows).mapInArrow(validate, schema)


def with_text(rows: DataFrame) -> DataFrame:
    """The rows with a `raw` that is text: never null, and in base64 where the bytes are not UTF-8."""
    return rows.withColumn("raw", as_text(F.col("raw")))


def as_text(received: Column) -> Column:
    """The bytes or text as text; bytes that are not UTF-8 as base64, which no contract accepts."""
    text = received.cast("string")
    base64 = F.concat(F.lit("base64:"), F.base64(received.cast("binary")))
    return F.coalesce(F.when(F.is_valid_utf8(text), text).otherwise(base64), F.lit(""))


def refusal(reason: Reason, field: str, message: Column) -> Column:
    """Why a row is refused."""
    return F.struct(F.lit(reason.value).alias("reason"), F.lit(field).alias("field"), message.alias("message"))


def trimmed(text: Column) -> Column:
    """The text without surrounding white space."""
    return F.btrim(text, F.lit(contract.WHITESPACE))


def number_in(text: Column) -> Column:
    """The number in a text; null where it is not a number."""
    cut = trimmed(text)
    return F.when(cut.rlike(f"^({contract.NUMBER_PATTERN})$"), cut.try_cast("double"))
