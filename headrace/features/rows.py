"""The online row format of the feature store (Feast on Valkey/Redis, entity key version 3), without importing Feast.

Feast takes 8 s of CPU to import, too long for a Spark task, a Flink worker or a service start, to read one
hash per entity: field = murmur3 of "view:feature", value = a protobuf `Value`. A contract test
(`tests/contract/test_feature_rows.py`) holds it to the stock SDK in both directions.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import mmh3
import pyarrow as pa
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.timestamp_pb2 import Timestamp

PROJECT = "headrace"
"""Feast project: part of every key."""
USER_VIEW = "user_features"
ITEM_VIEW = "item_features"
BEHAVIOUR_VIEW = "user_behaviour"
CONTENT_VIEW = "item_content"
USER_KEY = "user_id"
ITEM_KEY = "item_id"

_STRING_TYPE = 2  # feast.types.ValueType.STRING
_LISTS = {
    "string_list_val": 9,
    "int64_list_val": 3,
    "float_list_val": 2,
}  # protobuf types STRING, INT64, FLOAT
_FIELDS = {  # name: (field number, protobuf type) of feast.types.Value
    "string_val": (2, 9),
    "int32_val": (3, 5),
    "int64_val": (4, 3),
    "double_val": (5, 1),
    "float_val": (6, 2),
    "bool_val": (7, 8),
    "string_list_val": (12, 11),
    "int64_list_val": (14, 11),
    "float_list_val": (16, 11),
}


def _value_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="headrace/feature_value.proto", package="headrace.features", syntax="proto3"
    )
    for name, kind in _LISTS.items():
        nested = file.message_type.add(name=name)
        nested.field.add(name="val", number=1, type=kind, label=3)
    value = file.message_type.add(name="Value")
    value.oneof_decl.add(name="val")
    for name, (number, kind) in _FIELDS.items():
        field = value.field.add(name=name, number=number, type=kind, label=1, oneof_index=0)
        if name in _LISTS:
            field.type_name = f".headrace.features.{name}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("headrace.features.Value"))


_Value = _value_class()


def feature_names(schema: pa.Schema) -> list[str]:
    """Columns of a gold table that are features: all but keys, times and the partition."""
    other = {USER_KEY, ITEM_KEY, "event_timestamp", "created_timestamp", "day"}
    return [name for name in schema.names if name not in other]


@lru_cache(maxsize=64)
def key_prefix(join_key: str) -> bytes:
    """Prefix of the keys of all entities of one kind, followed by the id's length, the id and the project."""
    encoded = join_key.encode()
    return struct.pack("<III", 1, _STRING_TYPE, len(encoded)) + encoded + struct.pack("<I", _STRING_TYPE)


def row_key(join_key: str, entity_id: str, project: str = PROJECT) -> bytes:
    """Key of one entity's hash."""
    encoded = entity_id.encode()
    return key_prefix(join_key) + struct.pack("<I", len(encoded)) + encoded + project.encode()


@lru_cache(maxsize=4096)
def field_key(view: str, feature: str) -> bytes:
    """Hash field of one feature."""
    return struct.pack("<I", mmh3.hash(f"{view}:{feature}", signed=False))


def time_field(view: str) -> bytes:
    """Hash field of the row's event timestamp."""
    return f"_ts:{view}".encode()


def value_kind(kind: pa.DataType) -> str:
    """Name of the protobuf field that holds a value of this Arrow type."""
    names = {
        pa.string(): "string_val",
        pa.int32(): "int32_val",
        pa.int64(): "int64_val",
        pa.float64(): "double_val",
        pa.float32(): "float_val",
        pa.bool_(): "bool_val",
        pa.list_(pa.string()): "string_list_val",
        pa.list_(pa.int64()): "int64_list_val",
        pa.list_(pa.float32()): "float_list_val",
    }
    return names[kind]


def encode_value(value: Any, kind: str) -> bytes:
    """One feature value as the feature store stores it; None becomes the empty value."""
    message = _Value()
    if value is not None:
        if kind in _LISTS:
            getattr(message, kind).val.extend(value)
            getattr(message, kind).SetInParent()
        else:
            setattr(message, kind, value)
    return bytes(message.SerializeToString())


def decode_value(raw: bytes | None) -> Any:
    """The value in `raw`: a scalar, a list, or None."""
    if raw is None:
        return None
    message = _Value.FromString(raw)
    kind = message.WhichOneof("val")
    if kind is None:
        return None
    value = getattr(message, kind)
    return value.val if kind in _LISTS else value


def encode_time(moment: datetime) -> bytes:
    """The event timestamp of a row."""
    stamp = Timestamp()
    stamp.FromDatetime(moment.astimezone(UTC))
    return bytes(stamp.SerializeToString())


def decode_time(raw: bytes | None) -> int | None:
    """Microseconds since 1970 of a row's event timestamp; None where the row is missing."""
    return None if raw is None else Timestamp.FromString(raw).ToMicroseconds()


def encode_row(view: str, kinds: Mapping[str, str], values: Mapping[str, Any], moment: datetime) -> dict[bytes, bytes]:
    """The hash fields of one entity's row; `kinds` maps each feature to its `value_kind`."""
    row = {field_key(view, name): encode_value(values.get(name), kind) for name, kind in kinds.items()}
    row[time_field(view)] = encode_time(moment)
    return row


def decode_row(features: Sequence[str], raw: Sequence[bytes | None]) -> dict[str, Any]:
    """Values by feature name from the answer of `HMGET` with `row_fields`' order (its last entry is the time)."""
    return {name: decode_value(value) for name, value in zip(features, raw, strict=False)}


def row_fields(view: str, features: Sequence[str]) -> list[bytes]:
    """Fields for `HMGET`: the features in order, then the time."""
    return [*(field_key(view, name) for name in features), time_field(view)]
