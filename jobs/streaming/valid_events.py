"""The messages of the events topic as the event contract judges them: those of interest, ready for a user's history."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyflink.table import DataTypes
from pyflink.table.udf import ScalarFunction, udf

from headrace.event_columns import judge_events
from headrace.events import INTEREST_TYPES, parse_timestamp
from headrace.features.user_row import HistoryEvent
from headrace.tables import TIME
from jobs.streaming.known_user import event_text

_FIELDS = ("event_id", "subject_id", "item_id", "event_type")
_OF_INTEREST = pa.array([kind.value for kind in INTEREST_TYPES])


class ValidEvent(NamedTuple):
    """A good event that says what a user is interested in; all of it null for any other message."""

    event_id: str | None = None
    subject: str | None = None
    packed: str | None = None
    """`event_text` of the event, as `recent_events` unpacks it."""


def valid_events(messages: Sequence[bytes | None], received_at: Sequence[str]) -> list[ValidEvent]:
    """One for each message; `received_at` are the records' times in UTC, as Flink writes them.

    What is refused is passed over here: the batch side quarantines it.
    """
    times = pa.array([_time(text) for text in received_at], TIME)
    judged = judge_events(pa.array(messages, pa.binary()), times)
    wanted = pc.and_(pc.is_null(judged["refused"]), pc.is_in(judged["event_type"], _OF_INTEREST)).to_pylist()
    columns = [judged[name].to_pylist() for name in _FIELDS]
    moments = judged["timestamp"].cast(pa.int64()).to_pylist()
    return [
        ValidEvent(event_id, subject, event_text(HistoryEvent(moment, event_id, item_id, kind))) if good else _NOTHING
        for good, event_id, subject, item_id, kind, moment in zip(wanted, *columns, moments, strict=True)
    ]


class JudgeEvents(ScalarFunction):
    """`valid_events` for Flink, a batch of messages at once."""

    def eval(self, message: Any, received_at: Any) -> Any:
        """A `ValidEvent` for each row."""
        events = valid_events(message.tolist(), received_at.tolist())
        return pd.DataFrame(events, columns=list(ValidEvent._fields), dtype=object)


def valid_event_function() -> Any:
    """The function to register as `valid_event`."""
    result = DataTypes.ROW([DataTypes.FIELD(name, DataTypes.STRING()) for name in ValidEvent._fields])
    return udf(JudgeEvents(), result_type=result, func_type="pandas")


@lru_cache(maxsize=1024)
def _time(text: str) -> Any:
    """Many messages come in the same millisecond."""
    return parse_timestamp(text)


_NOTHING = ValidEvent()
