"""How the last events of a user travel from Flink SQL to Python: one text, cheap to make there and to cut up here.

`<timestamp> ␟ <received at> ␟ <event type> ␟ <item id> ␟ <event id>`, events separated by ␞ and in order of arrival.
Ids with these control characters do not pass the query.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from headrace.events import CLOCK_SKEW, EARLIEST_TIMESTAMP, parse_timestamp
from headrace.features.user_row import HistoryEvent

FIELD_SEPARATOR = "\x1f"
EVENT_SEPARATOR = "\x1e"
FIELDS = 5
HEARTBEAT = ""
"""Subject of the rows that only keep the vectorised function awake: no user has an empty id."""

_CANONICAL_LENGTH = len("2026-11-23T12:00:00.000000Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EARLIEST = (EARLIEST_TIMESTAMP - _EPOCH) // _MICROSECOND
_SKEW = CLOCK_SKEW // _MICROSECOND


def pack_event(timestamp: str, received_at: str, event_type: str, item_id: str, event_id: str) -> str:
    """One event as the query packs it."""
    return FIELD_SEPARATOR.join((timestamp, received_at, event_type, item_id, event_id))


def newest_events(recent: str, count: int) -> list[str]:
    """The packed events that arrived last, at most `count` of them, in order of arrival."""
    return recent.rsplit(EVENT_SEPARATOR, count)[-count:]


def unpack_events(packed: Iterable[str]) -> list[HistoryEvent]:
    """The events; those whose time breaks the event contract are left out (the batch side quarantines them)."""
    return [event for text in packed if (event := _unpack(text)) is not None]


def _unpack(text: str) -> HistoryEvent | None:
    fields = text.split(FIELD_SEPARATOR)
    if len(fields) != FIELDS:
        return None
    timestamp, received_at, event_type, item_id, event_id = fields
    time, latest = microseconds(timestamp), _latest(received_at)
    return (
        HistoryEvent(time, event_id, item_id, event_type) if time is not None and _EARLIEST <= time <= latest else None
    )


@lru_cache(maxsize=1024)
def _latest(received_at: str) -> int:
    """Latest time that an event received then may have; many come in the same millisecond."""
    received = microseconds(received_at)
    return 0 if received is None else received + _SKEW


def microseconds(timestamp: str) -> int | None:
    """Microseconds since 1970 of an ISO 8601 time or of milliseconds since 1970. None if it is neither."""
    if len(timestamp) == _CANONICAL_LENGTH and timestamp[10] + timestamp[19] + timestamp[26] == "T.Z":
        try:  # as the service writes it: most events, and a fifth of the general way's time
            return (datetime.fromisoformat(timestamp) - _EPOCH) // _MICROSECOND
        except ValueError:
            return None
    moment = parse_timestamp(timestamp)
    return None if moment is None else (moment - _EPOCH) // _MICROSECOND
