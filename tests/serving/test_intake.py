from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.events import MAX_EVENT_BYTES, Event, Reason, parse_event
from serving.intake.checks import BodyTooLargeError, check_body, check_events, read_body

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
    assert [each.event.event_id for each in accepted] == ["e1"]
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
    for event, message in accepted:
        assert json.loads(message)["event_id"] == event.event_id


@pytest.mark.parametrize(
    "odd",
    [
        b'{"event_id":"e2","user_id":"a\\ud83d"}',
        b'{"event_id":"e2","user_id":"\xe9"}',
        b'{"event_id":"e2","value":1e400}',
        b'{"event_id":"e2","value":' + b"9" * 5000 + b"}",
        b'{"event_id":"e2","value":NaN}',
        b'{"event_id":"e2","deep":' + b"[" * 300 + b"]" * 300 + b"}",
        b'{"event_id":"e2","deep":' + b"[" * 120 + b"]" * 120 + b"}",
    ],
    ids=["half a character", "no UTF-8", "beyond a double", "5,000 digits", "NaN", "nested 300 deep", "120 deep"],
)
def test_an_event_that_no_reader_takes_is_refused_alone(odd: bytes) -> None:
    good = json.dumps(VIEW).encode()
    accepted, rejected = check_events(b"[" + good + b"," + odd + b"," + good + b"]", 10, NOW)
    assert len(accepted) == 2
    assert [(event.index, event.rejection.reason) for event in rejected] == [(1, Reason.MALFORMED)]


def test_an_id_of_more_digits_than_a_processor_counts_keeps_them_all() -> None:
    ((event, message),), _ = check_events(json.dumps(VIEW | {"user_id": 12345678901234567891}).encode(), 10, NOW)
    assert event.user_id == "12345678901234567891"
    assert b'"user_id":"12345678901234567891"' in message


@pytest.mark.parametrize(
    "large",
    [{"note": "x" * (MAX_EVENT_BYTES - 120)}, {"context": {"note": [""] * 15_000}}],
    ids=["with its key and time", "with quotes in quotes"],
)
def test_an_event_that_would_be_too_large_on_the_topic_is_refused_at_the_door(large: dict[str, object]) -> None:
    body = json.dumps(VIEW | large, separators=(",", ":")).encode()
    assert len(body) < MAX_EVENT_BYTES
    accepted, rejected = check_events(body, 10, NOW)
    assert not accepted
    assert rejected[0].rejection.reason is Reason.TOO_LARGE


def test_a_body_has_one_dead_letter_with_every_refused_event_once_and_none_of_the_others() -> None:
    good, bad = VIEW | {"event_id": "good"}, VIEW | {"event_type": "stare"}
    checked = check_body(json.dumps([good, *([bad] * 200)]).encode(), 500, NOW)
    assert checked.letter is not None
    letter = json.loads(checked.letter)
    assert json.loads(letter["raw"]) == [bad] * 200
    assert letter["refused"] == len(checked.reasons) == 200
    assert (letter["rejected"][0]["index"], letter["rejected"][0]["reason"]) == (1, "unknown_event_type")


@pytest.mark.parametrize("event", [b"[" * 500 + b"]" * 500, b'"' + b"\0" * 1500 + b'"', b'"\xff' + b"x" * 1500 + b'"'])
def test_a_dead_letter_is_never_longer_than_a_message_may_be(event: bytes) -> None:
    checked = check_body(b"[" + b",".join([event] * 500) + b"]", 500, NOW)
    assert len(checked.reasons) in (1, 500)
    assert checked.letter is not None
    assert len(checked.letter) < 900_000


@given(st.dictionaries(st.sampled_from([*VIEW, "session_id", "value", "query", "context", "note"]), JSON))
def test_what_was_accepted_means_the_same_to_whoever_reads_it_from_the_topic(change: dict[str, object]) -> None:
    accepted, _ = check_events(json.dumps(VIEW | change).encode(), 10, NOW)
    for _, message in accepted:
        again = parse_event(message, NOW)
        assert isinstance(again, Event)
        assert again.to_json() == message
