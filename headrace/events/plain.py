"""Fast path of the event contract: column-wise checks that accept the valid events of the usual form.

`headrace.events.judge_event` stays the one definition of the rules. Here are sufficient conditions for it to accept an
event without converting any value: texts as JSON strings, numbers as JSON numbers, times in full in UTC. All other
events are left to it; a test compares the two on unusual values of every kind.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from headrace.events import contract
from headrace.events.contract import EventType
from headrace.events.json_text import may_be_deep
from headrace.events.subjects import SESSION_PREFIX, USER_PREFIX
from headrace.tables import SILVER_EVENTS, TIME

Fields: TypeAlias = dict[str, Any]
Flags: TypeAlias = npt.NDArray[np.bool_]

_TRIMMED = ("event_id", "user_id", "session_id", "item_id", "query", "request_id")
_NO_LONGER = dict.fromkeys(_TRIMMED[:4], contract.MAX_ID_LENGTH) | {"query": contract.MAX_QUERY_LENGTH}
_WRITTEN_TIME = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,6})?Z\z"
_QUANTITIES = (EventType.PURCHASE, EventType.ADD_TO_CART, EventType.RETURN)
_LARGEST_POSITION = 2**31 - 1


def plainly_good(raws: pa.Array, received_at: pa.Array) -> tuple[pa.Array, Fields]:
    """Which rows certainly are valid, and the columns of the contract with `subject_id` for those rows.

    `raws` are JSON texts (binary), `received_at` the receiver's clock (µs, UTC). The columns' other rows are undefined.
    """
    unusual = np.zeros(len(raws), bool)
    events = [_parsed(raw, row, unusual) for row, raw in enumerate(raws.to_pylist())]
    columns: Fields = {name: _text(_values(events, name, (str,), unusual)) for name in _TRIMMED}
    columns["event_type"] = pa.array(_values(events, "event_type", (str,), unusual), pa.string())
    columns["timestamp"] = _times(pa.array(_values(events, "timestamp", (str,), unusual), pa.string()))
    for name in ("value", "price"):
        numbers = _values(events, name, (float, int), unusual)
        columns[name] = pa.array([None if each is None else float(each) for each in numbers], pa.float64())
    columns["position"] = _positions(_values(events, "position", (int,), unusual), unusual)
    columns["context"] = _contexts(_values(events, "context", (dict,), unusual), unusual)
    columns["subject_id"] = _subjects(columns["user_id"], columns["session_id"])
    short = pc.less_equal(pc.binary_length(raws), contract.MAX_EVENT_BYTES)
    good = pc.and_kleene(pc.and_(pa.array(~unusual), short), _accepted(columns, received_at.cast(TIME)))
    return pc.fill_null(good, False), columns


def _accepted(columns: Fields, received_at: pa.Array) -> pa.Array:
    """The rules of the contract, in its order; null counts as false."""
    kind, time, value = columns["event_type"], columns["timestamp"], columns["value"]
    is_search, is_rating = pc.equal(kind, EventType.SEARCH.value), pc.equal(kind, EventType.RATING.value)
    is_quantity = pc.is_in(kind, pa.array([each.value for each in _QUANTITIES]))
    latest = pc.add(received_at, pa.scalar(contract.CLOCK_SKEW, pa.duration("us")))
    rules = [
        pc.is_valid(columns["event_id"]),
        pc.is_in(kind, pa.array([each.value for each in EventType])),
        pc.is_valid(columns["subject_id"]),
        pc.or_(is_search, pc.is_valid(columns["item_id"])),
        pc.greater_equal(time, pa.scalar(contract.EARLIEST_TIMESTAMP, TIME)),
        pc.less_equal(time, latest),
        pc.or_(pc.is_valid(value), pc.invert(is_rating)),
        pc.fill_null(pc.or_(pc.invert(is_quantity), pc.greater(value, 0)), True),
        pc.fill_null(pc.or_(pc.invert(is_rating), pc.less_equal(value, contract.MAX_RATING)), True),
        _in_range(value),
        _in_range(columns["price"]),
        pc.or_(pc.invert(is_search), pc.is_valid(columns["query"])),
        *(pc.fill_null(pc.less_equal(pc.utf8_length(columns[name]), most), True) for name, most in _NO_LONGER.items()),
    ]
    accepted = rules[0]
    for rule in rules[1:]:
        accepted = pc.and_kleene(accepted, rule)
    return accepted


def _in_range(numbers: pa.Array) -> pa.Array:
    inside = pc.and_(pc.greater_equal(numbers, 0), pc.less_equal(numbers, contract.MAX_VALUE))
    return pc.fill_null(inside, True)


def _parsed(raw: bytes | None, row: int, unusual: Flags) -> Fields:
    try:
        event = orjson.loads(raw or b"")
    except orjson.JSONDecodeError:
        event = None
    if type(event) is dict and not may_be_deep(raw or b""):
        return event
    unusual[row] = True
    return {}


def _values(events: list[Fields], name: str, kinds: tuple[type, ...], unusual: Flags) -> list[Any]:
    """One field of each event; one of another type than `kinds` is marked in `unusual` and left out."""
    values = [event.get(name) for event in events]
    known = {*kinds, type(None)}
    if not set(map(type, values)) <= known:
        for row, value in enumerate(values):
            if type(value) not in known:
                values[row], unusual[row] = None, True
    return values


def _subjects(users: pa.Array, sessions: pa.Array) -> pa.Array:
    """`headrace.events.subjects.subject_key` of each; null where there is neither."""
    like_a_key = pc.or_(pc.starts_with(users, SESSION_PREFIX), pc.starts_with(users, USER_PREFIX))
    keys = pc.if_else(like_a_key, pc.binary_join_element_wise(USER_PREFIX, users, ""), users)
    return pc.coalesce(keys, pc.binary_join_element_wise(SESSION_PREFIX, sessions, ""))


def _text(values: list[str | None]) -> pa.Array:
    """Without surrounding white space; null where the result is empty."""
    trimmed = pc.utf8_trim(pa.array(values, pa.string()), characters=contract.WHITESPACE)
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)


def _times(texts: pa.Array) -> pa.Array:
    """Times from texts that are written out in UTC; null elsewhere, and everywhere if one is not a date (31 June)."""
    written = pc.if_else(pc.match_substring_regex(texts, _WRITTEN_TIME), texts, pa.scalar(None, pa.string()))
    try:
        return written.cast(TIME)
    except pa.ArrowInvalid:
        return pa.nulls(len(texts), TIME)


def _positions(values: list[int | None], unusual: Flags) -> pa.Array:
    for row, value in enumerate(values):
        if value is not None and abs(value) > _LARGEST_POSITION:
            values[row], unusual[row] = None, True
    return pa.array(values, pa.int32())


def _contexts(values: list[dict[str, Any] | None], unusual: Flags) -> pa.Array:
    """Pairs of texts; empty where there is no context."""
    pairs: list[list[tuple[str, str]]] = [[]] * len(values)
    for row, value in enumerate(values):
        if value:
            pairs[row] = list(value.items())
            if not all(type(text) is str for text in value.values()):
                pairs[row], unusual[row] = [], True
    return pa.array(pairs, SILVER_EVENTS.schema.field("context").type)
