"""The event contract: what an event is, which ones are refused, and why.

`POST /events` checks one event at a time with `parse_event`; the batch job and the stream validate whole batches with
`headrace.events.columns`, which passes every undecided message to `judge_event`. So a message is validated alike on
every path; `tests/contract` checks all readers.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from headrace.events.json_text import read_json
from headrace.events.subjects import subject_key

MAX_ID_LENGTH = 256
MAX_QUERY_LENGTH = 1000
MAX_EVENT_BYTES = 65_536
MAX_RATING = 10.0
MAX_VALUE = 1e6
CLOCK_SKEW = timedelta(minutes=5)
"""An event may be this far ahead of the receiver's clock."""
EARLIEST_TIMESTAMP = datetime(2000, 1, 1, tzinfo=UTC)
WHITESPACE = " \t\n\r\v\f"
"""What is cut off around texts."""
NUMBER_PATTERN = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"
"""A number given as text; read in one go, however long the text."""
TIME_PATTERN = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?"
    r"(Z|[+-](0[0-9]|1[0-4]):?[0-5][0-9])?)?"
)
"""The ISO 8601 times that are understood: a date, or date and time with or without a zone."""
_LARGEST_WHOLE = 10**15  # beyond it floats do not represent all integers exactly
_LARGEST_POSITION = 2**31 - 1


class EventType(StrEnum):
    """What a user did, or was shown."""

    IMPRESSION = "impression"
    VIEW = "view"
    CLICK = "click"
    ADD_TO_CART = "add_to_cart"
    PURCHASE = "purchase"
    RETURN = "return"
    RATING = "rating"
    LIKE = "like"
    DISLIKE = "dislike"
    SEARCH = "search"


INTEREST_TYPES = frozenset(EventType) - {
    EventType.IMPRESSION,
    EventType.SEARCH,
    EventType.DISLIKE,
    EventType.RETURN,
}
"""Events that indicate interest in an item: these form the history that the user tower reads."""
BEHAVIOUR_TYPES = frozenset(EventType) - {EventType.IMPRESSION}
"""Events caused by a user's action, not only shown: input of the batch features."""


class Reason(StrEnum):
    """Why an event was refused."""

    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    MISSING_EVENT_ID = "missing_event_id"
    UNKNOWN_EVENT_TYPE = "unknown_event_type"
    MISSING_SUBJECT = "missing_subject"
    MISSING_ITEM = "missing_item"
    MISSING_TIMESTAMP = "missing_timestamp"
    BAD_TIMESTAMP = "bad_timestamp"
    FUTURE_TIMESTAMP = "future_timestamp"
    BAD_VALUE = "bad_value"
    MISSING_QUERY = "missing_query"
    ID_TOO_LONG = "id_too_long"


class Event(BaseModel):
    """One event, as kept on the `events` topic and in `bronze.events`. Unknown fields are kept."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True, frozen=True)

    event_id: str = Field(min_length=1, max_length=MAX_ID_LENGTH)
    """Unique name of the event; the same id twice changes nothing."""
    event_type: EventType
    """What happened."""
    user_id: str | None = Field(default=None, max_length=MAX_ID_LENGTH)
    """The user; either this or `session_id` is needed."""
    session_id: str | None = Field(default=None, max_length=MAX_ID_LENGTH)
    """Visit of an anonymous visitor."""
    item_id: str | None = Field(default=None, max_length=MAX_ID_LENGTH)
    """The item; needed for every type but `search`."""
    timestamp: datetime
    """When it happened, UTC; ISO 8601 text or milliseconds since 1970."""
    value: float | None = None
    """Quantity (purchase, add_to_cart, return; > 0), rating (0 to 10) or dwell time in seconds (view; ≥ 0)."""
    price: float | None = None
    """Price paid for one unit, ≥ 0."""
    query: str | None = Field(default=None, max_length=MAX_QUERY_LENGTH)
    """Search words; needed for `search`."""
    request_id: str | None = None
    """The recommendation request that showed the item."""
    position: int | None = None
    """Position in the list that was shown, from 0."""
    context: dict[str, str] = Field(default_factory=dict)
    """Surface, device, location and the like."""

    @property
    def subject_id(self) -> str:
        """The subject key of all data stored per user or visitor."""
        return subject_key(self.user_id, self.session_id)

    def to_json(self) -> bytes:
        """UTF-8 JSON with every given field, the timestamp as ISO 8601 in UTC with microseconds and `Z`."""
        fields = self.model_dump(mode="json", exclude_none=True)
        fields["timestamp"] = self.timestamp.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        fields["subject_id"] = self.subject_id
        return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True)
class Rejection:
    """Why one event was refused: the reason code, the field, and a message for the user."""

    reason: Reason
    field: str
    message: str


def parse_event(raw: bytes | str | dict[str, Any], received_at: datetime) -> Event | Rejection:
    """The event in `raw` (a JSON object), or why it is refused.

    `received_at` is the receiver's clock: an event more than `CLOCK_SKEW` after it is refused. The first rule that is
    broken, in the order of `Reason`, names the rejection.
    """
    fields = raw if isinstance(raw, dict) else _fields(raw)
    if isinstance(fields, Rejection):
        return fields
    known = _check(fields, received_at)
    if isinstance(known, Rejection):
        return known
    event = Event.model_construct(None, **known)
    if event.model_extra is not None:
        extra = {k: v for k, v in fields.items() if k not in known and k != "subject_id"}
        event.model_extra.update(extra)  # not as arguments above: a field may be named like one of the method's own
    return event


def judge_event(raw: bytes | str | dict[str, Any], received_at: datetime) -> dict[str, Any] | Rejection:
    """The fields of the contract with their values, without building an `Event`; else as `parse_event`."""
    fields = raw if isinstance(raw, dict) else _fields(raw)
    return fields if isinstance(fields, Rejection) else _check(fields, received_at)


def id_text(value: Any) -> str | None:
    """The rule of every id field: a text without surrounding white space, or an integer as its digits, because other
    systems often use numbers as ids: `7` and `7.0` are "7". Any other value is not an id.
    """
    if isinstance(value, str):
        return value.strip(WHITESPACE) or None
    number = _whole(value)
    return None if number is None else str(number)


def _fields(raw: bytes | str) -> dict[str, Any] | Rejection:
    try:
        message = raw.encode() if isinstance(raw, str) else raw
        if len(message) > MAX_EVENT_BYTES:
            return Rejection(Reason.TOO_LARGE, "", f"{len(message)} bytes, at most {MAX_EVENT_BYTES}")
        fields = read_json(message)
    except ValueError:
        fields = None
    return fields if isinstance(fields, dict) else Rejection(Reason.MALFORMED, "", "not a JSON object")


def _check(fields: dict[str, Any], received_at: datetime) -> dict[str, Any] | Rejection:
    ids = {name: id_text(fields.get(name)) for name in _IDS}
    if not ids["event_id"]:
        return Rejection(Reason.MISSING_EVENT_ID, "event_id", "every event needs a unique id")
    event_type = _TYPE_OF.get(str(fields.get("event_type")))
    if event_type is None:
        known = ", ".join(EventType)
        return Rejection(
            Reason.UNKNOWN_EVENT_TYPE, "event_type", f"{_shown(fields.get('event_type'))} is not one of {known}"
        )
    if not (ids["user_id"] or ids["session_id"]):
        return Rejection(Reason.MISSING_SUBJECT, "user_id", "give a user_id or a session_id")
    if event_type is not EventType.SEARCH and not ids["item_id"]:
        return Rejection(Reason.MISSING_ITEM, "item_id", f"a {event_type} needs an item_id")
    if fields.get("timestamp") in (None, ""):
        return Rejection(Reason.MISSING_TIMESTAMP, "timestamp", "give the time of the event in UTC")
    timestamp = parse_timestamp(fields["timestamp"])
    if timestamp is None or timestamp < EARLIEST_TIMESTAMP:
        return Rejection(
            Reason.BAD_TIMESTAMP,
            "timestamp",
            f"{_shown(fields['timestamp'])} is neither an ISO 8601 time nor milliseconds since 1970",
        )
    if timestamp - CLOCK_SKEW > received_at:
        return Rejection(
            Reason.FUTURE_TIMESTAMP,
            "timestamp",
            f"{timestamp.isoformat()} is after {received_at.isoformat()}",
        )
    if (problem := _value_problem(event_type, fields.get("value"))) is not None:
        return Rejection(Reason.BAD_VALUE, "value", problem)
    if (problem := _value_problem(None, fields.get("price"))) is not None:
        return Rejection(Reason.BAD_VALUE, "price", problem)
    query = id_text(fields.get("query"))
    if event_type is EventType.SEARCH and not query:
        return Rejection(Reason.MISSING_QUERY, "query", "a search needs its words in query")
    for name, text in {**ids, "query": query}.items():
        limit = MAX_QUERY_LENGTH if name == "query" else MAX_ID_LENGTH
        if text is not None and len(text) > limit:
            return Rejection(Reason.ID_TOO_LONG, name, f"{len(text)} characters, at most {limit}")
    position = _whole(_number(fields.get("position")))
    return {
        **ids,
        "event_type": event_type,
        "timestamp": timestamp,
        "value": _number(fields.get("value")),
        "price": _number(fields.get("price")),
        "query": query,
        "request_id": id_text(fields.get("request_id")),
        "position": position if position is not None and abs(position) <= _LARGEST_POSITION else None,
        "context": _context(fields.get("context")),
    }


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_timestamp(value: Any) -> datetime | None:
    """A UTC time from ISO 8601 text (without zone: UTC) or from milliseconds since 1970; None if it is neither."""
    try:
        if isinstance(value, datetime):
            parsed = value
        elif isinstance(value, bool):
            return None
        elif isinstance(value, int | float):
            return _EPOCH + timedelta(milliseconds=math.floor(value))
        else:
            text = str(value).strip(WHITESPACE)
            if _NUMBER.fullmatch(text):
                return _EPOCH + timedelta(milliseconds=math.floor(float(text)))
            if not _TIME.fullmatch(text):
                return None
            parsed = datetime.fromisoformat(text)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def event_json_schema() -> dict[str, Any]:
    """JSON Schema of the event, as written to `docs/event.schema.json`."""
    return Event.model_json_schema()


def _value_problem(event_type: EventType | None, value: Any) -> str | None:
    if value is None or value == "":
        return "a rating needs a value from 0 to 10" if event_type is EventType.RATING else None
    number = _number(value)
    if number is None:
        return f"{_shown(value)} is not a number"
    if event_type in (EventType.PURCHASE, EventType.ADD_TO_CART, EventType.RETURN) and number <= 0:
        return f"{number:g} is not a quantity: expected a number > 0"
    if event_type is EventType.RATING and not 0 <= number <= MAX_RATING:
        return f"{number:g} is outside 0 to {MAX_RATING:g}"
    return f"{number:g} is outside 0 to {MAX_VALUE:g}" if not 0 <= number <= MAX_VALUE else None


def _number(value: Any) -> float | None:
    if value is None or value == "" or isinstance(value, bool | dict | list):
        return None
    if isinstance(value, str):
        text = value.strip(WHITESPACE)
        return float(text) if _NUMBER.fullmatch(text) else None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    except OverflowError:
        return math.inf
    return number if number == number else None  # NaN counts as missing


def _whole(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_WHOLE:
        return int(value)
    return value if isinstance(value, int) else None


def _context(value: Any) -> dict[str, str]:
    """The context as texts; one that is a JSON object in a text (a CSV column) counts too."""
    if isinstance(value, str) and value.lstrip(WHITESPACE).startswith("{"):
        try:
            value = read_json(value)
        except ValueError:
            return {}
    if not isinstance(value, dict):
        return {}
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in value.items() if v is not None}


_TYPE_OF = {kind.value: kind for kind in EventType}
_IDS = ("event_id", "user_id", "session_id", "item_id")
_NUMBER = re.compile(NUMBER_PATTERN)
_TIME = re.compile(TIME_PATTERN)


def _shown(value: Any) -> str:
    return repr(value)[:80]
