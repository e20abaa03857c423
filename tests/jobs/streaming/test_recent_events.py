"""Packed events are cut up again."""

from __future__ import annotations

from headrace.features.user_row import HistoryEvent
from jobs.streaming.recent_events import EVENT_SEPARATOR, newest_events, unpack_events
from tests.jobs.streaming.streams import event, packed


def test_packed_events_come_back_as_they_were() -> None:
    odd = HistoryEvent(1795431600000001, 'e"\x1e\x1f1', "i\\\n\0é🛒", "view")
    events = [event(0, 0), odd, event(2, 2)]
    assert unpack_events(EVENT_SEPARATOR.join(map(packed, events)).split(EVENT_SEPARATOR)) == events


def test_newest_events_are_the_last_to_arrive() -> None:
    assert newest_events(EVENT_SEPARATOR.join("abcd"), 2) == ["c", "d"]
    assert newest_events("a", 2) == ["a"]
