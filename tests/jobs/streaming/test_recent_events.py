"""Packed events are cut up again."""

from __future__ import annotations

from headrace.features.user_row import HistoryEvent
from jobs.streaming.recent_events import EVENT_SEPARATOR, packed_events, unpack_events
from tests.jobs.streaming.streams import event, packed


def test_packed_events_come_back_as_they_were() -> None:
    odd = HistoryEvent(1795431600000001, 'e"\x1e\x1f1', "i\\\n\0é🛒", "view")
    events = [event(0, 0), odd, event(2, 2)]
    assert unpack_events(packed_events(EVENT_SEPARATOR.join(map(packed, events)))) == events
