"""Rows are read from their files by key and times, whatever row group they are in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.tables import TIME
from jobs.batch.engine.row_positions import FILE, IDENTITY, rows_at

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
WANTED = pa.schema([("items", pa.list_(pa.string())), ("total", pa.float32()), ("added_later", pa.int64())])


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Seven users in row groups of two; u3 has two rows of one moment, computed at noon and an hour later."""
    users = ["u0", "u1", "u2", "u3", "u3", "u4", "u5"]
    rows = {
        "user_id": users,
        "event_timestamp": pa.array([NOON] * 7, TIME),
        "created_timestamp": pa.array([NOON + timedelta(hours=n == 4) for n in range(7)], TIME),
        "items": [[f"{user}-{position}"] for position, user in enumerate(users)],
        "total": pa.array(range(7), pa.float32()),
    }
    pq.write_table(pa.table(rows), tmp_path / "a b.parquet", row_group_size=2)
    return f"file:{tmp_path}/a b.parquet".replace(" ", "%20")


def positions(*asked: tuple[str | None, str | None, datetime | None]) -> pa.RecordBatch:
    """(file, user, computed) as columns, with a number to tell them by."""
    files, users, computed = zip(*asked, strict=True)
    about = [None if each is None else NOON for each in computed]
    columns = [pa.array(files, pa.string()), pa.array(users, pa.string()), pa.array(about, TIME)]
    return pa.record_batch([*columns, pa.array(computed, TIME)], [FILE, *IDENTITY])


def read(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """What was read for each place, in the order asked."""
    numbered = pa.record_batch([*batch.columns, pa.array(range(len(batch)))], [*batch.schema.names, "number"])
    found = {
        number: row
        for piece, rows in rows_at(numbered, "user_id", WANTED)
        for number, row in zip(piece.column("number").to_pylist(), rows.to_pylist(), strict=True)
    }
    return [found[number] for number in range(len(batch))]


def test_each_position_gets_its_row_also_twice_and_null_where_there_is_none(file: str) -> None:
    later = NOON + timedelta(hours=1)
    asked = [(file, "u5", NOON), (file, "u0", NOON), (file, "u3", later), (file, "u3", NOON), (file, "u0", NOON)]
    rows = read(positions(*asked, (None, None, None), (file, "u1", NOON)))
    assert [row["total"] for row in rows] == [6, 0, 4, 3, 0, None, 1]
    assert [row["items"] for row in rows[:3]] == [["u5-6"], ["u0-0"], ["u3-4"]]
    assert {row["added_later"] for row in rows} == {None}, "a file is older than a column"


def test_a_row_that_is_not_in_its_file_is_an_error_and_no_empty_row(file: str) -> None:
    with pytest.raises(LookupError, match="expected 1 rows, found 0"):
        read(positions((file, "u9", NOON)))
