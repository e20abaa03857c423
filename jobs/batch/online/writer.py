"""Rows of one partition → the online store: one atomic compare-and-set per row, a batch in one stream of bytes.

A client library packs a command from its arguments in Python, which for 40 arguments a row costs more than all the
rest; here the commands of a batch are built as one Arrow column and sent without a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import redis

from headrace.features.columns import encode_column, encode_times, join, row_keys
from headrace.features.rows import feature_names, field_key, time_field, value_kind
from headrace.tables import Table
from jobs.batch.engine.row_positions import combined, rows_at

_TIMEOUT_S = 60.0

WRITE_IF_NOT_OLDER = """
local function micros(stamp)
  local fields, at = {0, 0}, 1
  while at <= #stamp do
    local field, value, scale, octet = math.floor(stamp:byte(at) / 8), 0, 1, nil
    repeat
      at = at + 1
      octet = stamp:byte(at)
      value = value + (octet % 128) * scale
      scale = scale * 128
    until octet < 128
    fields[field], at = value, at + 1
  end
  return fields[1] * 1000000 + math.floor(fields[2] / 1000)
end
local held = redis.call('HGET', KEYS[1], ARGV[2])
if held and held ~= ARGV[3] and micros(held) > micros(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
if ARGV[1] ~= '0' then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return 1
"""
"""Arguments: seconds to live (0: for ever), the time's field and its bytes, then fields and values in turn."""


@dataclass(frozen=True)
class OnlineView:
    """A view of the feature store that has online rows: its name, its entity's key and the gold table it shows."""

    name: str
    key: str
    table: Table


def partition_writer(
    view: OnlineView, url: str, ttl_seconds: int
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for `mapInArrow` that writes the rows at a partition's positions (`jobs.batch.engine.row_positions`).

    It yields one number: the rows that were not older than those in the store.
    """
    wanted = pa.schema([view.table.schema.field(name) for name in (view.key, "event_timestamp", *_features(view))])

    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        written = 0
        with redis.Redis.from_url(url, socket_timeout=_TIMEOUT_S, single_connection_client=True) as store:
            script = store.script_load(WRITE_IF_NOT_OLDER)
            for batch in combined(batches):
                for _, rows in rows_at(batch, view.key, wanted):
                    written += _send(store, commands(rows, view, script, ttl_seconds))
        yield pa.record_batch([pa.array([written], pa.int64())], names=["written"])

    return write


def commands(rows: pa.RecordBatch, view: OnlineView, script: str, ttl_seconds: int) -> pa.Array:
    """One `EVALSHA` per row in the store's wire protocol."""
    kinds = {name: value_kind(view.table.schema.field(name).type) for name in _features(view)}
    fixed = [b"EVALSHA", script.encode(), b"1"]
    arguments: list[bytes | pa.Array] = [*fixed, row_keys(view.key, rows.column(view.key)), b"%d" % ttl_seconds]
    arguments += [time_field(view.name), encode_times(rows.column("event_timestamp"))]
    for name, kind in kinds.items():
        arguments += [field_key(view.name, name), encode_column(rows.column(name), kind)]
    pieces: list[bytes | pa.Array] = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        if isinstance(argument, bytes):
            pieces.append(b"$%d\r\n%b\r\n" % (len(argument), argument))
        else:
            length = pc.binary_length(argument).cast(pa.string()).cast(pa.binary())
            pieces += [b"$", length, b"\r\n", argument, b"\r\n"]
    return join(*pieces)


def _features(view: OnlineView) -> list[str]:
    return feature_names(view.table.schema)


def _send(store: redis.Redis, stream: pa.Array) -> int:
    """Send the commands and add up their answers. Raises redis.RedisError where one failed."""
    offsets, data = stream.buffers()[1:]
    ends = memoryview(offsets).cast("i")
    connection: Any = store.connection
    connection.send_packed_command([memoryview(data)[ends[0] : ends[len(stream)]]], check_health=False)
    return sum(connection.read_response() for _ in range(len(stream)))
