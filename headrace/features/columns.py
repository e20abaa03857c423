"""Whole Arrow columns in the feature store's online format: what `feature_rows` encodes value by value, at once.

The bytes are those of `feature_rows.encode_value`, `encode_time` and `row_key` (a test compares them). They are built
from offsets and buffers, without a Python object per value: filling the store is then bound by the store.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.features.rows import PROJECT, key_prefix

_TAGS = {
    "string_val": b"\x12",
    "int32_val": b"\x18",
    "int64_val": b"\x20",
    "double_val": b"\x29",
    "float_val": b"\x35",
    "bool_val": b"\x38",
    "string_list_val": b"\x62",
    "int64_list_val": b"\x72",
    "float_list_val": b"\x82\x01",
}
"""Protobuf tag of each field of `feast.types.Value`: field number and wire type."""
_FIRST_FIELD = b"\x0a"
"""Tag of the only field of a list message: its elements."""


def encode_column(values: pa.Array, kind: str) -> pa.Array:
    """Each value of a gold column, of that `feature_rows.value_kind`, as binary; a null becomes the empty value.

    Raises ValueError where a list holds a null, which the format cannot represent.
    """
    tag = _TAGS[kind]
    if pa.types.is_list(values.type):
        encoded = join(tag, *_with_length(_list_message(values)))
    elif kind == "string_val":
        encoded = join(tag, *_with_length(values.cast(pa.binary())))
    elif kind in ("double_val", "float_val"):
        encoded = join(tag, _fixed_width(values.fill_null(0.0)))
    else:
        encoded = join(tag, varints(values.cast(pa.int64()).fill_null(0).to_numpy()))
    return _where(values.is_valid(), encoded) if values.null_count else encoded


def encode_times(moments: pa.Array) -> pa.Array:
    """Event timestamps (Arrow timestamps in microseconds, none null) as protobuf `Timestamp`s."""
    seconds, micros = np.divmod(moments.cast(pa.int64()).to_numpy(), 1_000_000)
    return join(_unless_zero(b"\x08", seconds), _unless_zero(b"\x10", micros * 1000))


def row_keys(join_key: str, ids: pa.Array, project: str = PROJECT) -> pa.Array:
    """Keys of the entities' hashes."""
    raw = ids.cast(pa.binary())
    lengths = _fixed_width(pc.binary_length(raw).cast(pa.uint32()))
    return join(key_prefix(join_key), lengths, raw, project.encode())


def varints(values: npt.NDArray[np.int64]) -> pa.Array:
    """Each whole number as a protobuf varint."""
    left = values.astype(np.int64, copy=False).view(np.uint64)
    width = max(1, -(-int(left.max()).bit_length() // 7)) if len(left) else 1
    octets = np.empty((len(left), width), np.uint8)
    for group in range(width):
        octets[:, group] = (left >> np.uint64(7 * group)) & np.uint64(0x7F)
    octets[:, :-1] |= 0x80  # more follow
    if width == 1 or int(left.min()) >> (7 * (width - 1)):  # all of one length, as times and short lengths are
        return _binary(np.arange(width, width * len(left) + 1, width), octets.reshape(-1))
    lengths = np.ones(len(left), np.int64)
    for group in range(1, width):
        lengths += left >> np.uint64(7 * group) > 0
    octets[np.arange(len(left)), lengths - 1] &= 0x7F
    return _binary(np.cumsum(lengths), octets[np.arange(width) < lengths[:, None]])


def _list_message(lists: pa.Array) -> pa.Array:
    """The bytes of the inner message of each list."""
    lengths = pc.list_value_length(lists).fill_null(0).to_numpy()
    elements = lists.flatten()
    if elements.null_count:
        raise ValueError("a list with a null inside has no form in the feature store")
    if pa.types.is_string(elements.type):
        return _grouped(join(_FIRST_FIELD, *_with_length(elements.cast(pa.binary()))), lengths)
    if pa.types.is_floating(elements.type):
        packed = _grouped(_fixed_width(elements), lengths)
    else:
        packed = _grouped(varints(elements.to_numpy()), lengths)
    filled = join(_FIRST_FIELD, *_with_length(packed))
    return filled if lengths.all() else _where(pa.array(lengths > 0), filled)


def _grouped(pieces: pa.Array, lengths: npt.NDArray[Any]) -> pa.Array:
    """The first `lengths[0]` pieces as one value, the next `lengths[1]` as one, and so on."""
    offsets = np.frombuffer(pieces.buffers()[1], np.int32)[pieces.offset : pieces.offset + len(pieces) + 1]
    ends = offsets[np.cumsum(lengths)]
    return pa.Array.from_buffers(
        pa.binary(), len(lengths), [None, pa.py_buffer(np.append(offsets[:1], ends)), pieces.buffers()[2]]
    )


def _with_length(values: pa.Array) -> tuple[pa.Array, pa.Array]:
    return varints(pc.binary_length(values).fill_null(0).cast(pa.int64()).to_numpy()), values


def _fixed_width(values: pa.Array) -> pa.Array:
    """Numbers as their little-endian bytes."""
    numbers = values.to_numpy(zero_copy_only=False)
    width = numbers.dtype.itemsize
    ends = np.arange(width, width * len(numbers) + 1, width)
    return _binary(ends, numbers.astype(numbers.dtype.newbyteorder("<")).view(np.uint8))


def _unless_zero(tag: bytes, values: npt.NDArray[np.int64]) -> pa.Array:
    """A number field, which protobuf omits where it is 0."""
    return _where(pa.array(values != 0), join(tag, varints(values)))


def _where(is_there: pa.Array, values: pa.Array) -> pa.Array:
    """The values, and no bytes for nulls."""
    return pc.if_else(is_there, values, pa.scalar(b"", pa.binary()))


def _binary(ends: npt.NDArray[Any], data: npt.NDArray[np.uint8]) -> pa.Array:
    offsets = np.append([0], ends).astype(np.int32)
    return pa.Array.from_buffers(pa.binary(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(data)])


def join(*pieces: bytes | pa.Array) -> pa.Array:
    """The pieces of each row one after the other; bytes stand for the same piece in every row."""
    parts = [pa.scalar(piece, pa.binary()) if isinstance(piece, bytes) else piece for piece in pieces]
    return pc.binary_join_element_wise(*parts, pa.scalar(b"", pa.binary()))
