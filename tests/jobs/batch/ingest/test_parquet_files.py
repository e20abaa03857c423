"""Parquet of other people: every type is read as it was meant, or said in a sentence."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from itertools import chain, combinations
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.errors import BadInputError
from jobs.batch.ingest.readers.file_parts import Expected, parts_of
from jobs.batch.ingest.readers.files import find_files
from jobs.batch.ingest.readers.json_writer import json_objects
from jobs.batch.ingest.readers.parquet_rows import parquet_parts, parquet_schema
from tests.jobs.batch.ingest.file_writers import parquet
from tests.jobs.batch.ingest.reading import read, written


def test_times_of_every_unit_are_taken_to_the_microsecond(tmp_path: Path) -> None:
    moment = pd.Timestamp("2026-11-19T10:00:00.123456789")
    frame = pd.DataFrame({"item_id": ["i1"], "timestamp": [moment], "zoned": [moment.tz_localize("Europe/Berlin")]})
    frame["timestamp"] = frame["timestamp"].astype("datetime64[ns]")
    table = pa.Table.from_pandas(frame)
    assert str(table.schema.field("timestamp").type) == "timestamp[ns]"
    table = table.append_column("s", pa.array([1_000_000_000], pa.timestamp("s")))
    table = table.append_column("ms", pa.array([1_000_000_000_001], pa.timestamp("ms", "UTC")))
    table = table.append_column("day", pa.array([date(2026, 1, 2)], pa.date64()))
    table = table.append_column("time", pa.array([36_000], pa.time32("s")))
    table = table.append_column("never", pa.array([2**62], pa.timestamp("ms")))
    assert read(written(tmp_path / "a.parquet", parquet(table))) == [
        (
            1,
            {
                "item_id": "i1",
                "timestamp": "2026-11-19T10:00:00.123456Z",
                "zoned": "2026-11-19T09:00:00.123456Z",
                "s": "2001-09-09T01:46:40.000000",
                "ms": "2001-09-09T01:46:40.001000Z",
                "day": "2026-01-02",
                "time": "10:00:00.000000",
                "never": "4611686018427387904 ms",
            },
        )
    ]


@pytest.mark.parametrize("groups", [[10], [5, 0, 3, 7], [0], []])
def test_a_file_is_read_in_parts_of_equal_size_whatever_its_row_groups(groups: list[int], tmp_path: Path) -> None:
    schema, rows = pa.schema([("item_id", pa.string())]), [f"i{number}" for number in range(sum(groups))]
    with pq.ParquetWriter(tmp_path / "a.parquet", schema) as writer:
        for index, size in enumerate(groups):
            first = sum(groups[:index])
            writer.write_table(pa.table({"item_id": rows[first : first + size]}, schema))
    columns, sizes = parquet_schema(tmp_path / "a.parquet", (), {})
    parts = parquet_parts(tmp_path / "a.parquet", columns, {}, sizes, 4)
    read = [[*zip(raw.to_pylist(), numbers.to_pylist(), strict=True)] for p in parts for raw, numbers in p.rows()]
    assert [*chain(*read)] == [(f'{{"item_id":"{item}"}}', number) for number, item in enumerate(rows, start=1)]
    assert max((part.count for part in parts), default=0) <= 4


def test_a_slice_of_rows_is_written_as_those_rows() -> None:
    texts = [None, "", "a", 'b"', "c", "7", "d"]
    columns = {
        "text": pa.array(texts),
        "number": pa.array(texts),
        "dictionary": pa.array(texts).dictionary_encode(),
        "list": pa.array([[each, "x"] for each in texts]),
        "struct": pa.array([{"a": each} for each in texts]),
        "map": pa.array([[("k", each)] for each in texts], pa.map_(pa.string(), pa.string())),
        "binary": pa.array([b"caf\xe9", b"a", None, b"b", b"caf\xe9", b"c", b"d"]),
    }
    whole = json_objects(columns, {"number"}).to_pylist()
    for start, end in combinations(range(len(texts) + 1), 2):
        part = {name: values.slice(start, end - start) for name, values in columns.items()}
        assert json_objects(part, {"number"}).to_pylist() == whole[start:end]


def test_types_of_parquet_that_are_text_or_numbers_become_those(tmp_path: Path) -> None:
    ids = {
        "item_id": pa.array([2**64 - 1, 7], pa.uint64()),
        "user_id": pa.array([Decimal("12345678901234567890123456789"), Decimal(7)], pa.decimal128(38, 0)),
        "request_id": pa.array([12, None], pa.int8()).dictionary_encode(),
    }
    more = {
        "binary": pa.array([b"caf\xc3\xa9", None]),
        "large": pa.array(["a\tb", ""], pa.large_string()),
        "dictionary": pa.array(["x", "y"]).dictionary_encode(),
        "price": pa.array([Decimal("1.50"), None], pa.decimal128(9, 2)),
        "float": pa.array([0.1, float("nan")], pa.float32()),
        "list": pa.array([["a", None], []]),
        "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
        "struct": pa.array([{"a": 1, "b": None}, None], pa.struct([("a", pa.int64()), ("b", pa.string())])),
    }
    assert read(written(tmp_path / "a.parquet", parquet(pa.table({**ids, **more})))) == [
        (
            1,
            {
                "item_id": "18446744073709551615",
                "user_id": "12345678901234567890123456789",
                "request_id": "12",
                "binary": "café",
                "large": "a\tb",
                "dictionary": "x",
                "price": 1.5,
                "float": 0.1,
                "list": ["a", None],
                "map": {"k": 1},
                "struct": {"a": 1},
            },
        ),
        (2, {"item_id": "7", "user_id": "7", "dictionary": "y", "list": []}),
    ]


@pytest.mark.parametrize(
    ("column", "values", "kind"),
    [
        ("wait", pa.array([1], pa.duration("s")), r"duration\[s\]"),
        ("inner", pa.array([[1]], pa.list_(pa.duration("ms"))), r"duration\[ms\]"),
        ("title", pa.array([["a"]]), "list<"),
        ("key", pa.array([b"\xff\xfe\x00\x01"], pa.binary(4)), r"fixed_size_binary\[4\]"),
    ],
)
def test_a_column_of_another_type_is_said_with_file_column_and_type(
    column: str, values: pa.Array, kind: str, tmp_path: Path
) -> None:
    file = written(tmp_path / "a.parquet", parquet(pa.table({"item_id": ["i1"], column: values})))
    with pytest.raises(BadInputError, match=rf"a.parquet: column '{column}' is {kind}"):
        read(file, scalars=["title"])


def test_a_parquet_file_damaged_in_the_middle_is_said_before_a_row_is_taken(tmp_path: Path) -> None:
    whole = bytearray(parquet(pa.table({"item_id": [f"i{n}" for n in range(50_000)]})))
    whole[len(whole) // 3 : len(whole) // 3 + 5000] = bytes(5000)
    file = written(tmp_path / "a.parquet", bytes(whole))
    with pytest.raises(
        BadInputError, match=r"a.parquet is not a Parquet file, or is damaged: no row of it was imported"
    ):
        parts_of(find_files([file])[0], Expected("item_id"))
