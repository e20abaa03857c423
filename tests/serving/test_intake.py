from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.events import Reason
from serving.intake import BodyTooLargeError, check_events, read_body

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
VIEW = {"event_id": "e1", "event_type": "view", "user_id": "u", "item_id": "i", "timestamp": "2026-11-23T11:00:00Z"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.parametrize("body", [VIEW, [VIEW], {"events": [VIEW]}])
def test_one_event_a_list_and_an_object_with_events_are_understood(body: object) -> None:
    accepted, rejected = check_events(json.dumps(body).encode(), 10, NOW)
    assert [event.event_id for event in accepted] == ["e1"]
    assert not rejected


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"event_type": "stare"}, Reason.UNKNOWN_EVENT_TYPE, "event_type"),
        ({"timestamp": "2026-11-23T12:06:00Z"}, Reason.FUTURE_TIMESTAMP, "timestamp"),
        ({"timestamp": None}, Reason.MISSING_TIMESTAMP, "timestamp"),
        ({"item_id": ""}, Reason.MISSING_ITEM, "item_id"),
        ({"note": "x" * 70_000}, Reason.TOO_LARGE, ""),
    ],
)
def test_a_bad_event_is_named_by_its_place_and_field_and_the_good_one_beside_it_is_kept(
    change: dict[str, object], reason: Reason, field: str
) -> None:
    accepted, rejected = check_events(json.dumps([VIEW, VIEW | change]).encode(), 10, NOW)
    assert len(accepted) == 1
    assert [(event.index, event.rejection.reason, event.rejection.field) for event in rejected] == [(1, reason, field)]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"events": []}', b"[" * 3000, b'"text"', b"[1]"])
def test_a_body_without_events_is_one_rejection(body: bytes) -> None:
    accepted, rejected = check_events(body, 10, NOW)
    assert not accepted
    assert len(rejected) == 1


def test_more_events_than_allowed_are_refused_together() -> None:
    accepted, rejected = check_events(json.dumps([VIEW] * 11).encode(), 10, NOW)
    assert not accepted
    assert rejected[0].rejection.message == "11 events, at most 10 in one body"


def test_a_body_is_given_up_as_soon_as_it_is_too_long() -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"x" * 1000

    with pytest.raises(BodyTooLargeError):
        asyncio.run(read_body(endless(), 10_000))
    assert read == 11


@given(JSON)
def test_whatever_is_sent_is_accepted_or_refused_but_never_breaks(content: object) -> None:
    body = json.dumps(content).encode()
    accepted, rejected = check_events(body, 10, NOW)
    assert accepted or rejected


@given(st.dictionaries(st.sampled_from([*VIEW, "value", "price", "query", "context", "position", "cls"]), JSON))
def test_whatever_the_fields_hold_an_accepted_event_can_be_written(change: dict[str, object]) -> None:
    accepted, rejected = check_events(json.dumps(VIEW | change).encode(), 10, NOW)
    assert len(accepted) + len(rejected) == 1
    for event in accepted:
        assert json.loads(event.to_json())["event_id"] == event.event_id
