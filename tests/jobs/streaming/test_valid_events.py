"""The stream judges messages by the event contract, and keeps what says what a user is interested in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.features.user_row import HistoryEvent
from jobs.streaming.recent_events import unpack_events
from jobs.streaming.valid_events import valid_events

RECEIVED = "2026-11-23 12:00:00.000"
VIEW: dict[str, Any] = {
    "event_id": "e",
    "event_type": "view",
    "user_id": "u",
    "item_id": "i",
    "timestamp": "2026-11-23T11:00:00.000001Z",
}


def taken(**fields: Any) -> tuple[str, HistoryEvent] | None:
    """Subject and event, or None where the message is passed over."""
    (subject,), (packed,) = valid_events([json.dumps(VIEW | fields).encode()], [RECEIVED])
    return (subject, *unpack_events([packed])) if subject and packed else None


@pytest.mark.parametrize(
    ("timestamp", "microseconds"),
    [
        ("2026-11-23T11:00:00.000001Z", 1795431600000001),
        ("2026-11-23T12:00:00+01:00", 1795431600000000),
        ("2026-11-23 11:00:00", 1795431600000000),
        ("1795431600123", 1795431600123000),
        (1795431600123.9, 1795431600123000),
    ],
)
def test_every_time_of_the_contract_is_understood(timestamp: object, microseconds: int) -> None:
    assert taken(timestamp=timestamp) == ("u", HistoryEvent(microseconds, "e", "i", "view"))


@pytest.mark.parametrize(
    "timestamp",
    ["", "yesterday", "2026-13-01T00:00:00.000000Z", "1999-12-31T23:59:59.999999Z", "2026-11-23T12:05:00.000001Z"],
)
def test_an_event_at_an_impossible_time_is_passed_over(timestamp: str) -> None:
    assert taken(timestamp=timestamp) is None


def test_what_only_was_shown_or_searched_is_passed_over() -> None:
    assert taken(event_type="impression") is None
    assert taken(event_type="search", query="milk") is None


@pytest.mark.parametrize(
    ("ids", "subject"),
    [
        ({"user_id": 123.0}, "123"),
        ({"user_id": "123.0"}, "123.0"),
        ({"user_id": "true"}, "true"),
        ({"user_id": None, "session_id": "abc"}, "session:abc"),
        ({"user_id": "session:abc"}, "user:session:abc"),
    ],
)
def test_whose_an_event_is_says_the_contract_and_no_json_reader(ids: dict[str, Any], subject: str) -> None:
    found = taken(**ids)
    assert found is not None
    assert found[0] == subject


@pytest.mark.parametrize("user_id", [True, 1.5, {"a": 1}, ["u"], ""])
def test_what_is_no_id_is_nobody(user_id: object) -> None:
    assert taken(user_id=user_id) is None


@pytest.mark.parametrize("message", [None, b"", b"\xff", b'{"event_id": "a\\ud83d"}', b"[" * 100_000, b"1" * 2_000_000])
def test_a_message_that_is_no_event_does_not_keep_its_neighbours_out(message: bytes | None) -> None:
    good = json.dumps(VIEW).encode()
    assert valid_events([good, message, good], [RECEIVED] * 3).subject == ["u", None, "u"]
