"""The body of `POST /events`: read within its limit, taken apart, each event checked by the contract."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from headrace.events import MAX_EVENT_BYTES, Event, Reason, Rejection, parse_event
from headrace.events.json_text import has_long_number, may_be_deep

_MOST_DIGITS = 400
_MOST_NAMED = 100
"""Refused events that a dead letter names one by one."""
_LONGEST_RAW = 131_072
"""Bytes of a body that a dead letter keeps: a message of Kafka's usual size even where JSON writes each as six."""


class BodyTooLargeError(Exception):
    """More bytes than `settings.serving.max_body_bytes`."""


class AcceptedEvent(NamedTuple):
    """One event, and its text on the topic, by which its size was judged."""

    event: Event
    message: bytes


@dataclass(frozen=True)
class RejectedEvent:
    """One refused event: its place in the body, from 0 (None: the body itself was refused), why, and what was sent."""

    index: int | None
    rejection: Rejection
    raw: bytes | None = None
    """Its text; None: only the whole body shows it."""

    def as_dict(self) -> dict[str, Any]:
        """As the answer shows it."""
        return {"index": self.index, **vars(self.rejection)}


async def read_body(chunks: AsyncIterable[bytes], most: int) -> bytes:
    """The whole body. Raises BodyTooLargeError as soon as there are more than `most` bytes."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > most:
            raise BodyTooLargeError
    return bytes(body)


class CheckedBody(NamedTuple):
    """What becomes of a body, ready to be sent."""

    accepted: list[tuple[str, bytes]]
    """Key and value for the event log."""
    reasons: list[str]
    """Why events were refused, one each."""
    letter: bytes | None
    """The dead letter, where something was refused."""
    refusal: dict[str, Any] | None
    """The answer, likewise: `field` and `message` of the first, and all as `rejected`."""


def check_body(body: bytes, most: int, received_at: datetime) -> CheckedBody:
    """Check a body (`check_events`) and put into words what is to be logged and answered."""
    accepted, rejected = check_events(body, most, received_at)
    letter = refusal = None
    if rejected:
        first = rejected[0].rejection
        place = "" if rejected[0].index is None else f"event {rejected[0].index}: "
        named = [event.as_dict() for event in rejected]
        refusal = {"field": first.field, "message": f"{place}{first.message}", "rejected": named}
        letter = orjson.dumps(
            {
                "received_at": received_at.isoformat(timespec="microseconds"),
                "refused": len(rejected),
                "rejected": named[:_MOST_NAMED],
                "raw": _sent(body, rejected)[:_LONGEST_RAW].decode(errors="replace"),
            }
        )
    return CheckedBody(
        [(event.subject_id, message) for event, message in accepted],
        [event.rejection.reason for event in rejected],
        letter,
        refusal,
    )


def _sent(body: bytes, rejected: list[RejectedEvent]) -> bytes:
    """The list of the refused events, without those beside them; the body where one cannot be taken out of it."""
    texts = [event.raw for event in rejected if event.raw is not None]
    return b"[" + b",".join(texts) + b"]" if len(texts) == len(rejected) else body


def check_events(body: bytes, most: int, received_at: datetime) -> tuple[list[AcceptedEvent], list[RejectedEvent]]:
    """The good and the refused events of a body: one object, a list, or `{"events": […]}`.

    A body that is none of these, or holds none or more than `most`, is one rejection.
    """
    try:
        content, plain = _content(body)
    except (ValueError, RecursionError):
        return [], [_whole(Reason.MALFORMED, "body", "not JSON")]
    if isinstance(content, dict) and "events" in content and "event_type" not in content:
        content = content["events"]
    found = content if isinstance(content, list) else [content]
    if not found:
        return [], [_whole(Reason.MALFORMED, "events", "give at least one event")]
    if len(found) > most:
        return [], [_whole(Reason.TOO_LARGE, "events", f"{len(found)} events, at most {most} in one body")]
    accepted: list[AcceptedEvent] = []
    rejected: list[RejectedEvent] = []
    for index, raw in enumerate(found):
        try:
            text = orjson.dumps(raw) if plain else _written(raw)
        except (orjson.JSONEncodeError, RecursionError):
            rejected.append(RejectedEvent(index, Rejection(Reason.MALFORMED, "", "nested too deeply")))
            continue
        checked = _check(raw, text, received_at, plain=plain)
        if isinstance(checked, Rejection):
            rejected.append(RejectedEvent(index, checked, text))
        else:
            accepted.append(checked)
    return accepted, rejected


def _content(body: bytes) -> tuple[Any, bool]:
    """The body's JSON, and whether its events can be judged as they are.

    Where one event holds what no reader takes (half a character, a number beyond a double), or a number that orjson
    rounds, the others are still found: each is then judged from its own text. Raises ValueError or RecursionError.
    """
    if not has_long_number(body):
        with suppress(orjson.JSONDecodeError):
            return orjson.loads(body), True
    return _LENIENT.decode(body.decode(errors="surrogateescape")), False


def _digits(text: str) -> int | float:
    return int(text) if len(text) <= _MOST_DIGITS else math.inf


_LENIENT = json.JSONDecoder(parse_int=_digits)


def _written(event: Any) -> bytes:
    """The event's own text; what no reader takes is still in it."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass")


def _check(raw: Any, text: bytes, received_at: datetime, *, plain: bool) -> AcceptedEvent | Rejection:
    if len(text) > MAX_EVENT_BYTES:
        return _too_large(text)
    if not isinstance(raw, dict):
        return Rejection(Reason.MALFORMED, "", "not a JSON object")
    event = parse_event(raw if plain and not may_be_deep(text) else text, received_at)
    if isinstance(event, Rejection):
        return event
    message = event.to_json()  # with its key and time written out, and objects of the context as texts
    return _too_large(message) if len(message) > MAX_EVENT_BYTES else AcceptedEvent(event, message)


def _too_large(text: bytes) -> Rejection:
    return Rejection(Reason.TOO_LARGE, "", f"{len(text)} bytes, at most {MAX_EVENT_BYTES}")


def _whole(reason: Reason, field: str, message: str) -> RejectedEvent:
    return RejectedEvent(None, Rejection(reason, field, message))
