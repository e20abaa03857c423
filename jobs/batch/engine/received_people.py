"""People that a row as received is about, and whether it is from before their request to be forgotten.

Of a JSON object that is the subject by the contract's rule of ids. A text that is none (a truncated line, a line of a
CSV file, bytes that are no text) may be about anyone: then every value of an id field counts, or else every word.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any

import orjson

from headrace.events import id_text, parse_timestamp
from headrace.events.json_text import read_json
from headrace.events.subjects import subject_key
from headrace.forgotten import subject_hash
from headrace.tables import microseconds

Until = Mapping[str, int]
"""Time of the request (µs since 1970) by the hash of the subject."""
EVER = 2**63 - 1
"""A time in `Until` with which every row is from before."""
_IDS = ("user_id", "session_id", "subject_id")
_DAY_US = 86_400_000_000
_BASE64 = "base64:"
_NAMED = re.compile(r'"?\b(user_id|subject_id|session_id)\\?"?\s*[:=]\s*(?:\\?"((?:[^"\\]|\\[^"])*)|([^",}\]\s]+))')
_BETWEEN = re.compile(r'[,;|\t\n"{}\[\]:]+')
_WHOLE = re.compile(r"(-?[0-9]+)\.0+")
_hash_of = lru_cache(8192)(subject_hash)  # the rows of one person often follow one another


class Clock(StrEnum):
    """Which time of a row decides whether it is from before a request."""

    EVENT = "event"
    """That of the event, else of its arrival."""
    FILE = "file"
    """The start of the day of its arrival: files count as received at the midnight that ends it."""
    NOTE = "note"
    """That of the impression or dead letter, else of its arrival."""


def contract_hash(raw: bytes) -> str:
    """Hash of the subject by the contract; empty where the row is not about one person."""
    try:
        fields = orjson.loads(raw)
    except ValueError:
        return ""
    if not isinstance(fields, dict):
        return ""
    if not all(isinstance(fields.get(name), str | None) for name in _IDS):
        fields = _value(raw)  # numbers with all their digits
    subject = _subject(fields)
    return _hash_of(subject) if subject else ""


def is_forgotten(raw: bytes, received_at: int, clock: Clock, until: Until, hashed: str | None = None) -> bool:
    """Whether the row is from before the request of somebody it is about.

    `received_at` in µs since 1970; `hashed` is `contract_hash` where it is known.
    """
    if hashed:
        asked = until.get(hashed, -1)
        return asked >= 0 and (asked == EVER or _moment(_value(raw), received_at, clock) <= asked)
    value = _value(raw)
    asked = max((until.get(_hash_of(subject), -1) for subject in people_in(raw, value)), default=-1)
    return asked >= 0 and _moment(value, received_at, clock) <= asked


def people_in(raw: bytes, value: Any = None) -> set[str]:
    """Keys of the subjects that the row is, or may be, about."""
    value = _value(raw) if value is None else value
    if isinstance(value, dict):
        if subject := _subject(value):
            return {subject}
        letter = value.get("raw")  # a dead letter has the body as sent, of one person or several
        return people_in(letter.encode()) if isinstance(letter, str) else set()
    found = {subject for each in _objects(value) if (subject := _subject(each))}
    return found or set(_may_be_about(raw.decode(errors="replace")))


def _value(raw: bytes) -> Any:
    try:
        return read_json(raw)
    except ValueError:
        return None


def _subject(value: Any) -> str:
    if not isinstance(value, dict):
        return ""
    user, session = id_text(value.get("user_id")), id_text(value.get("session_id"))
    known = id_text(value.get("subject_id"))
    return known if known and not user else subject_key(user, session) if user or session else ""


def _objects(value: Any) -> Iterator[Any]:
    for each in value if isinstance(value, list) else ():
        yield each
        yield from _objects(each)


def _may_be_about(text: str) -> Iterator[str]:
    if text.startswith(_BASE64):
        try:
            text = base64.b64decode(text.removeprefix(_BASE64)).decode(errors="replace")
        except ValueError:
            return
    named = [(name, _spelled(quoted or bare)) for name, quoted, bare in _NAMED.findall(text)]
    for name, found in named:
        if found and found != "null":
            yield found if name == "subject_id" else _key(name, found)
    if not named:
        for word in {*map(str.strip, _BETWEEN.split(text)), *text.split()} - {""}:
            yield from (_key(name, _spelled(word)) for name in ("user_id", "session_id"))


def _key(name: str, found: str) -> str:
    return subject_key(found) if name == "user_id" else subject_key(None, found)


def _spelled(found: str) -> str:
    whole = _WHOLE.fullmatch(found)
    return whole[1] if whole else id_text(found.replace("\\t", " ").replace("\\n", " ")) or ""


def _moment(value: Any, received_at: int, clock: Clock) -> int:
    if isinstance(value, dict) and clock is not Clock.FILE:
        for name in ("timestamp", "received_at") if clock is Clock.NOTE else ("timestamp",):
            if given := parse_timestamp(value[name]) if value.get(name) not in (None, "") else None:
                return microseconds(given)
    return received_at if clock is Clock.NOTE else (received_at - 1) // _DAY_US * _DAY_US
