"""The JSON subset that every reader of the platform accepts.

That is RFC 8259 in UTF-8, without `NaN` and `Infinity`, without halves of surrogate pairs, without numbers that are too
large for a double, and nested at most `MAX_DEPTH` deep (I-JSON, RFC 7493). Of equal names the last one counts; whole
numbers keep all their digits.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

MAX_DEPTH = 100
"""Objects and lists within each other: far more than any event has, and what every JSON library can follow."""
_LONG_NUMBER = re.compile(rb"[0-9]{19}")
_EXACT = json.JSONDecoder()


def read_json(text: bytes | str) -> Any:
    """The value in a JSON text. Raises ValueError for any other text."""
    raw = text.encode() if isinstance(text, str) else text
    value = orjson.loads(raw)
    if may_be_deep(raw) and _depth(value) > MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    if has_long_number(raw):
        return _EXACT.decode(raw.decode())
    return value


def may_be_deep(raw: bytes) -> bool:
    """Whether the text has enough brackets to be nested too deep; cheap, and seldom true."""
    return raw.count(b"[") + raw.count(b"{") > MAX_DEPTH


def has_long_number(raw: bytes) -> bool:
    """Whether the text has so many digits in a row as whole numbers beyond 64 bits, which orjson rounds."""
    return _LONG_NUMBER.search(raw) is not None


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    return depth
