"""Arrow values as JSON text, column by column: supported types and how each is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

NOT_UTF8 = "\x01"
"""Prefix of a value whose bytes are not text: JSON escapes control characters, so it cannot occur otherwise."""
_ESCAPED = r'[\x00-\x1f"\\]'
_FIRST, _LAST = -62_135_596_800, 253_402_300_799
"""Seconds since 1970 of the years 1 to 9999."""
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def json_values(values: pa.Array) -> pa.Array:
    """Each value as JSON text: times as ISO 8601 to the microsecond, numbers by their digits; null where it is missing.

    Raises TypeError for a type without a JSON representation.
    """
    values, kind = unsliced(values), values.type
    if pa.types.is_dictionary(kind):
        return json_values(values.dictionary_decode())
    if pa.types.is_null(kind) or pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return values.cast(pa.string())
    if pa.types.is_floating(kind):
        return _numbers(values)
    if pa.types.is_timestamp(kind):
        return _times(values)
    if pa.types.is_date(kind) or pa.types.is_time(kind):
        return _in_quotes(values.cast(pa.time64("us"), safe=False) if pa.types.is_time(kind) else values)
    if _is_text(kind):
        return _texts(values)
    return _nested(values)


def unsliced(values: pa.Array) -> pa.Array:
    """The same values in buffers of their own: `if_else` of Arrow 16 reads the wrong bytes of a slice of texts."""
    return pa.concat_arrays([values, values.slice(0, 0)]) if values.offset else values


def unsupported(kind: pa.DataType) -> pa.DataType | None:
    """The type, or the part of a nested one, that `json_values` does not support; None if all is supported."""
    if pa.types.is_nested(kind) and not pa.types.is_union(kind):
        found = (unsupported(kind.field(index).type) for index in range(kind.num_fields))
        return next((part for part in found if part is not None), None)
    if pa.types.is_dictionary(kind):
        return unsupported(kind.value_type)
    simple = (pa.types.is_null, pa.types.is_boolean, pa.types.is_integer, pa.types.is_decimal, pa.types.is_floating)
    known = (*simple, pa.types.is_timestamp, pa.types.is_date, pa.types.is_time, _is_text)
    return None if any(each(kind) for each in known) else kind


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or is_bytes(kind)


def is_bytes(kind: pa.DataType) -> bool:
    """Whether the type is binary, which may or may not be text."""
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)


def share_of_text(values: pa.Array) -> float:
    """The share of values that are text in UTF-8; 1 where there is no value."""
    written = [each for each in json_values(values).to_pylist() if each is not None]
    return sum(not each.startswith(NOT_UTF8) for each in written) / len(written) if written else 1.0


def joined(members: Mapping[str, pa.Array]) -> pa.Array:
    """Objects of JSON values; a null is left out."""
    named = [pc.binary_join_element_wise(f",{json.dumps(name)}:", each, "") for name, each in members.items()]
    # Not by null_handling="skip": Arrow 16 loses a row of nothing but nulls there.
    inner = pc.binary_join_element_wise(*named, "", null_handling="replace", null_replacement="")
    return pc.binary_join_element_wise(pc.binary_replace_slice(inner, 0, 1, "{"), "}", "")


def _numbers(values: pa.Array) -> pa.Array:
    """pandas writes a missing number as NaN: it means "not given"."""
    if values.type == pa.float16():
        values = values.cast(pa.float32())
    text = pc.if_else(pc.is_nan(values), pa.scalar(None, pa.string()), values.cast(pa.string()))
    return pc.if_else(pc.is_finite(values), text, _in_quotes(text))


def _times(values: pa.Array) -> pa.Array:
    """Times with a zone in UTC, with `Z`; without one as they are. Beyond the year 9999: their number with its unit."""
    unit = _UNITS[values.type.unit]
    number = values.cast(pa.int64())
    inside = pc.and_(
        pc.greater_equal(number, max(_FIRST * unit, -(2**63))), pc.less(number, min(_LAST * unit, 2**63 - 1))
    )
    known = pc.if_else(inside, number, pa.scalar(None, pa.int64())).cast(pa.timestamp(values.type.unit))
    text = pc.binary_replace_slice(known.cast(pa.timestamp("us"), safe=False).cast(pa.string()), 10, 11, "T")
    beyond = pc.binary_join_element_wise(number.cast(pa.string()), values.type.unit, " ")
    zone = "" if values.type.tz is None else "Z"
    return _in_quotes(pc.coalesce(pc.binary_join_element_wise(text, zone, ""), beyond))


def _in_quotes(values: pa.Array) -> pa.Array:
    """Values without anything to escape."""
    return pc.binary_join_element_wise('"', values.cast(pa.string()), '"', "")


def _texts(values: pa.Array) -> pa.Array:
    """Texts in quotes; an empty one is missing; bytes that are not text as backslash escapes after `NOT_UTF8`."""
    try:
        if values.type == pa.string():
            values.validate(full=True)  # Parquet does not validate its texts
            text = values
        else:
            text = values.cast(pa.large_binary()).cast(pa.large_string()).cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([None if each is None else _text_or_mark(each) for each in _as_bytes(values)], pa.string())
    quoted = _in_quotes(pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text))
    if not _has_escaped(text):
        return quoted
    escaped = pc.fill_null(pc.match_substring_regex(text, _ESCAPED), False)
    escapes = [orjson.dumps(each).decode() for each in text.filter(escaped).to_pylist()]
    return pc.replace_with_mask(quoted, escaped, pa.array(escapes, pa.string()))


def _has_escaped(text: pa.Array) -> bool:
    """Whether JSON has to escape anything in these texts: a vectorised check of all their bytes."""
    _, offsets, data = text.buffers()
    if data is None:
        return False
    first, last = np.frombuffer(offsets, np.int32)[[text.offset, text.offset + len(text)]]
    bytes_ = np.frombuffer(data, np.uint8)[first:last]
    return bool(((bytes_ < 0x20) | (bytes_ == ord('"')) | (bytes_ == ord("\\"))).any())


def _as_bytes(values: pa.Array) -> list[bytes | None]:
    return values.cast(pa.large_binary()).to_pylist()


def _text_or_mark(value: bytes) -> str | None:
    try:
        return orjson.dumps(value.decode()).decode() if value else None
    except UnicodeDecodeError:
        return f'{NOT_UTF8}"{readable(value)}"'


def readable(value: bytes) -> str:
    """The text, with bytes that are not UTF-8 as backslash escapes."""
    return value.decode(errors="backslashreplace").replace(NOT_UTF8, "\\x01")


def _nested(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_struct(kind):
        names = [kind.field(index).name for index in range(kind.num_fields)]
        members = {name: json_values(each) for name, each in zip(names, values.flatten(), strict=True)}
        objects = joined(members) if members else pa.repeat("{}", len(values))
        return pc.if_else(values.is_valid(), objects, pa.scalar(None, pa.string()))
    if pa.types.is_fixed_size_list(kind):
        return _nested(values.cast(pa.list_(kind.value_type)))
    if pa.types.is_map(kind):
        names, members = _texts_of_keys(_inner(values, values.keys)), json_values(_inner(values, values.items))
        return _gathered(values, pc.binary_join_element_wise(names, pc.fill_null(members, "null"), ":"), "{}")
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _gathered(values, pc.fill_null(json_values(_inner(values, values.values)), "null"), "[]")
    raise TypeError(f"no JSON for {kind}")


def _texts_of_keys(keys: pa.Array) -> pa.Array:
    return pc.coalesce(json_values(keys) if _is_text(keys.type) else _in_quotes(json_values(keys)), pa.scalar('""'))


def _inner(lists: Any, members: pa.Array) -> pa.Array:
    """The members that a slice of lists refers to."""
    first, last = lists.offsets[0].as_py(), lists.offsets[-1].as_py()
    return members.slice(first, last - first)


def _gathered(lists: Any, members: pa.Array, brackets: str) -> pa.Array:
    offsets, texts, valid = lists.offsets.to_pylist(), members.to_pylist(), lists.is_valid().to_pylist()
    start = offsets[0]
    rows = (
        brackets[0] + ",".join(texts[first - start : last - start]) + brackets[1] if there else None
        for first, last, there in zip(offsets, offsets[1:], valid, strict=False)
    )
    return pa.array(rows, pa.string())
