"""Validates the messages of the events topic by the event contract: those of interest, ready for a user's history."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyflink.table import DataTypes
from pyflink.table.udf import ScalarFunction, udf

from headrace.events import INTEREST_TYPES, parse_timestamp
from headrace.events.columns import judge_events
from headrace.features.user_row import HistoryEvent
from headrace.tables import TIME
from jobs.streaming.known_user import event_text

_OF_INTEREST = pa.array([kind.value for kind in INTEREST_TYPES])


class ValidEvents(NamedTuple):
    """Of each message that is a valid event of interest, what the query needs; null for any other message."""

    subject: list[str | None]
    packed: list[str | None]
    """`event_text` of the event, as `recent_events` unpacks it."""


def valid_events(messages: Sequence[bytes | None], received_at: Sequence[str]) -> ValidEvents:
    """Columns with a row for each message; `received_at` are the records' times in UTC, as Flink writes them.

    Refused messages are skipped here: the batch side quarantines them.
    """
    times = pa.array([_time(text) for text in received_at], TIME)
    validated = judge_events(pa.array(messages, pa.binary()), times)
    wanted = pc.and_(pc.is_null(validated["refused"]), pc.is_in(validated["event_type"], _OF_INTEREST))
    nothing = pa.scalar(None, pa.string())
    subjects = pc.if_else(wanted, validated["subject_id"], nothing).to_pylist()
    event_ids, items, kinds = (validated[name].to_pylist() for name in ("event_id", "item_id", "event_type"))
    moments = validated["timestamp"].cast(pa.int64()).to_pylist()
    packed = [
        None if subject is None else event_text(HistoryEvent(moment, event_id, item, kind))
        for subject, event_id, moment, item, kind in zip(subjects, event_ids, moments, items, kinds, strict=True)
    ]
    return ValidEvents(subjects, packed)


class JudgeEvents(ScalarFunction):
    """`valid_events` for Flink, a batch of messages at once."""

    def eval(self, message: Any, received_at: Any) -> Any:
        """The columns of `ValidEvents`, a row for each message."""
        return pd.DataFrame(valid_events(message.tolist(), received_at.tolist())._asdict(), dtype=object)


def valid_event_function() -> Any:
    """The function to register as `valid_event`."""
    result = DataTypes.ROW([DataTypes.FIELD(name, DataTypes.STRING()) for name in ValidEvents._fields])
    return udf(JudgeEvents(), result_type=result, func_type="pandas")


@lru_cache(maxsize=1024)
def _time(text: str) -> Any:
    """Many messages arrive in the same millisecond."""
    return parse_timestamp(text)
