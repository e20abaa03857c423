"""The event contract over whole tables: plainly good events by columns, all others by `headrace.events` one by one.

The rules as Spark columns were slower: the generated code outgrew what the JVM compiles, and telling JSON types apart
took a second parser (docs/decisions/0008-one-event-contract.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from headrace import events as contract
from headrace.events import SESSION_PREFIX, Reason, Rejection, judge_event
from headrace.tables import SILVER_EVENTS
from jobs.batch.clean.plain_events import plainly_good

_TYPED = (
    *("event_id", "event_type", "subject_id", "user_id", "session_id", "item_id", "timestamp", "value", "price"),
    *("query", "request_id", "position", "context"),
)
_REFUSED = pa.field("refused", pa.struct([("reason", pa.string()), ("field", pa.string()), ("message", pa.string())]))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def checked(rows: DataFrame) -> DataFrame:
    """`rows` (with `raw` and `received_at`) plus the event's typed fields and `refused`.

    `refused` is null for a good event, else a struct of `reason`, `field` and `message`.
    """
    added = pa.schema([*(SILVER_EVENTS.schema.field(name) for name in _TYPED), _REFUSED])
    schema = StructType([*rows.schema.fields, *from_arrow_schema(added).fields])

    def judge(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for part, columns in _judged(batch):
                arrays = [columns[field.name] for field in added]
                yield pa.RecordBatch.from_arrays([*part.columns, *arrays], [*part.schema.names, *added.names])

    def _judged(batch: pa.RecordBatch) -> Iterator[tuple[pa.RecordBatch, dict[str, pa.Array]]]:
        good, columns = plainly_good(batch.column("raw"), batch.column("received_at"))
        accepted = batch.filter(good)
        columns = {name: column.filter(good) for name, column in columns.items()}
        nobody = pa.nulls(accepted.num_rows, _REFUSED.type)
        yield accepted, {**columns, "refused": nobody}
        rest = batch.filter(pc.invert(good))
        if rest.num_rows:
            judged = _one_by_one(rest.column("raw").to_pylist(), _times(rest.column("received_at")))
            yield rest, {field.name: pa.array(judged[field.name], field.type) for field in added}

    return rows.mapInArrow(judge, schema)


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


def _one_by_one(raws: list[str | None], received: list[datetime]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {name: [] for name in (*_TYPED, "refused")}
    for raw, received_at in zip(raws, received, strict=True):
        fields = judge_event(raw or "", received_at)
        values = _refused(fields) if isinstance(fields, Rejection) else _accepted(fields)
        for name, column in columns.items():
            column.append(values.get(name))
    return columns


def _refused(rejection: Rejection) -> dict[str, Any]:
    return {"refused": {"reason": rejection.reason.value, "field": rejection.field, "message": rejection.message}}


def _accepted(fields: dict[str, Any]) -> dict[str, Any]:
    fields["subject_id"] = fields["user_id"] or SESSION_PREFIX + fields["session_id"]
    fields["timestamp"] = (fields["timestamp"] - _EPOCH) // _MICROSECOND
    fields["context"] = list(fields["context"].items())
    return fields


def _times(column: pa.Array) -> list[datetime]:
    """Times as UTC; the rows of one file share one, so each is made once."""
    encoded = column.dictionary_encode()
    times = [_EPOCH + value * _MICROSECOND for value in encoded.dictionary.cast(pa.int64()).to_pylist()]
    return [times[index] for index in encoded.indices.to_pylist()]
