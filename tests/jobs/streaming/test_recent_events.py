"""Packed events are cut up again, and events at impossible times are left out."""

from __future__ import annotations

import pytest

from headrace.features.user_row import HistoryEvent
from jobs.streaming.recent_events import EVENT_SEPARATOR, newest_events, pack_event, unpack_events
from tests.jobs.streaming.streams import RECEIVED, event, packed


def test_packed_events_come_back_as_they_were() -> None:
    events = [event(minute, minute) for minute in range(4)]
    assert unpack_events(EVENT_SEPARATOR.join(map(packed, events)).split(EVENT_SEPARATOR)) == events


def test_newest_events_are_the_last_to_arrive() -> None:
    assert newest_events(EVENT_SEPARATOR.join("abcd"), 2) == ["c", "d"]
    assert newest_events("a", 2) == ["a"]


@pytest.mark.parametrize(
    ("timestamp", "microseconds"),
    [
        ("2026-11-23T11:00:00.000001Z", 1795431600000001),
        ("2026-11-23T12:00:00+01:00", 1795431600000000),
        ("2026-11-23 11:00:00", 1795431600000000),
        ("1795431600123", 1795431600123000),
    ],
)
def test_every_time_of_the_contract_is_understood(timestamp: str, microseconds: int) -> None:
    assert unpack_events([pack_event(timestamp, RECEIVED, "view", "i", "e")]) == [
        HistoryEvent(microseconds, "e", "i", "view")
    ]


@pytest.mark.parametrize(
    "timestamp",
    ["", "yesterday", "2026-13-01T00:00:00.000000Z", "1999-12-31T23:59:59.999999Z", "2026-11-23T12:05:00.000001Z"],
)
def test_an_event_at_an_impossible_time_is_left_out(timestamp: str) -> None:
    assert unpack_events([pack_event(timestamp, RECEIVED, "view", "i", "e")]) == []


def test_an_id_that_holds_a_separator_spoils_only_its_own_event() -> None:
    bad = pack_event("2026-11-23T11:00:00.000000Z", RECEIVED, "view", "i\x1fj", "e")
    assert unpack_events([bad, packed(event(1, 1))]) == [event(1, 1)]
