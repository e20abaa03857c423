"""The event contract over many messages at once: valid ones of the usual form by columns, all others one by one.

No message can stop it: one that the contract cannot validate at all is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.events.contract import Reason, Rejection, judge_event
from headrace.events.plain import plainly_good
from headrace.events.subjects import subject_key
from headrace.tables import SILVER_EVENTS

_TYPED = (
    *("event_id", "event_type", "subject_id", "user_id", "session_id", "item_id", "timestamp", "value", "price"),
    *("query", "request_id", "position", "context"),
)
_REFUSED = pa.struct([("reason", pa.string()), ("field", pa.string()), ("message", pa.string())])
JUDGED = pa.schema([*(SILVER_EVENTS.schema.field(name) for name in _TYPED), pa.field("refused", _REFUSED)])
"""The event's typed fields, and `refused`: null for a good event, else a struct of `reason`, `field` and `message`."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def judge_events(messages: pa.Array, received_at: pa.Array) -> pa.Table:
    """One row of `JUDGED` for each message (binary; null counts as empty), in order.

    `received_at` is the receiver's clock (µs, UTC).
    """
    try:
        good, columns = plainly_good(messages, received_at)
    except Exception:
        good, columns = pa.array([False] * len(messages), pa.bool_()), {}
    if columns and good.true_count == len(messages):
        return _accepted(columns)
    rest = pc.invert(good)
    others = _one_by_one(messages.filter(rest).to_pylist(), _times(received_at.filter(rest)))
    if not good.true_count:
        return others
    plain = _accepted({name: column.filter(good) for name, column in columns.items()})
    order = np.argsort(np.concatenate([np.flatnonzero(good), np.flatnonzero(rest)]))
    return pa.concat_tables([plain, others]).take(pa.array(order))


def _accepted(columns: dict[str, pa.Array]) -> pa.Table:
    rows = len(columns["event_id"])
    arrays = [pa.nulls(rows, _REFUSED) if name == "refused" else columns[name] for name in JUDGED.names]
    return pa.table(arrays, schema=JUDGED)


def _one_by_one(messages: Sequence[bytes | None], received: Sequence[datetime | None]) -> pa.Table:
    rows = [_row(message or b"", at) for message, at in zip(messages, received, strict=True)]
    try:
        return pa.Table.from_pylist(rows, JUDGED)
    except Exception as error:
        if len(rows) == 1:
            return pa.Table.from_pylist([_failed_validation(error)], JUDGED)
    half = len(rows) // 2
    parts = (_one_by_one(messages[:half], received[:half]), _one_by_one(messages[half:], received[half:]))
    return pa.concat_tables(parts)


def _row(message: bytes, received_at: datetime | None) -> dict[str, Any]:
    try:
        if received_at is None:
            return _refused(Rejection(Reason.MALFORMED, "", "the time of arrival is missing"))
        fields = judge_event(message, received_at)
        if isinstance(fields, Rejection):
            return _refused(fields)
        return {
            **fields,
            "subject_id": subject_key(fields["user_id"], fields["session_id"]),
            "timestamp": (fields["timestamp"] - _EPOCH) // _MICROSECOND,
            "context": list(fields["context"].items()),
        }
    except Exception as error:
        return _failed_validation(error)


def _failed_validation(error: Exception) -> dict[str, Any]:
    return _refused(Rejection(Reason.MALFORMED, "", f"could not be validated ({type(error).__name__})"))


def _refused(rejection: Rejection) -> dict[str, Any]:
    return {"refused": {"reason": rejection.reason.value, "field": rejection.field, "message": rejection.message}}


def _times(column: pa.Array) -> list[datetime | None]:
    """Times as UTC, each converted once (the rows of one file share one), clipped to the range of `datetime`."""
    encoded = column.dictionary_encode()
    times = [_time(value) for value in encoded.dictionary.cast(pa.int64()).to_pylist()]
    return [None if index is None else times[index] for index in encoded.indices.to_pylist()]


def _time(microseconds: int) -> datetime:
    try:
        return _EPOCH + microseconds * _MICROSECOND
    except OverflowError:
        return (datetime.max if microseconds > 0 else datetime.min).replace(tzinfo=UTC)
