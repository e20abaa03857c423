"""Encoding of a user's last events from Flink SQL to Python: one text, cheap to write and to split.

Each event as JSON, as histories are stored (`known_user.event_text`), separated by a character that JSON always escapes
and in order of arrival.
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from headrace.features.user_row import HistoryEvent

EVENT_SEPARATOR = "\x1e"
HEARTBEAT = ""
"""Subject of the rows that only keep the vectorised function awake: no user has an empty id."""


def packed_events(recent: str) -> list[str]:
    """The packed events, in order of arrival."""
    return recent.split(EVENT_SEPARATOR)


def unpack_events(packed: Iterable[str]) -> list[HistoryEvent]:
    """The events."""
    return [HistoryEvent(*orjson.loads(text)) for text in packed]
