"""Wide rows by position: rows are selected by narrow columns, and the selected rows are then read from their files.

Spark decodes every column of every row before it drops unwanted rows; with lists of hundreds of values in a row that is
most of the work. Here its workers read, with Arrow, only the row groups with a selected row. A row is identified by its
file and by (key, event_timestamp, created_timestamp), which is unique in a feature table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

TIMES = ("event_timestamp", "created_timestamp")
FILE = "_file"
IDENTITY = ("_key", "_event_timestamp", "_created_timestamp")
"""Columns of a position besides the file's address."""
_ROWS_AT_ONCE = 1000
_POSITIONS_AT_ONCE = 200_000
"""Positions per batch: a row group is read again in each batch; a position is some hundred bytes."""

_Rows = TypeVar("_Rows", pa.Table, pa.RecordBatch)


def position(key: str) -> list[Column]:
    """The position of each row of a table, for a `select` from the table as it was read (and filtered)."""
    names = (key, *TIMES)
    identity = [F.col(name).alias(ours) for name, ours in zip(names, IDENTITY, strict=True)]
    return [F.col("_metadata.file_path").alias(FILE), *identity]


def by_position(chosen: DataFrame) -> DataFrame:
    """Rows with a position, partitioned so that each worker reads from few files."""
    tasks = int(chosen.sparkSession.conf.get("spark.sql.shuffle.partitions") or 1)
    return chosen.repartitionByRange(tasks, FILE, IDENTITY[0]).sortWithinPartitions(FILE, IDENTITY[0])


def combined(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same positions in few large batches: those of one file are spread over its row groups."""
    kept: list[pa.RecordBatch] = []
    for batch in batches:
        kept.append(batch)
        if sum(map(len, kept)) >= _POSITIONS_AT_ONCE:
            yield from pa.Table.from_batches(kept).combine_chunks().to_batches()
            kept.clear()
    if kept:
        yield from pa.Table.from_batches(kept).combine_chunks().to_batches()


def rows_at(positions: pa.RecordBatch, key: str, wanted: pa.Schema) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """All of `positions`, in pieces ordered to read each row group once, with the `wanted` columns of its rows.

    Where a position is null, and where a file is older than a column, the columns are null. Raises LookupError where a
    row is not in its file.
    """
    runs = pc.run_end_encode(positions.column(FILE))
    start = 0
    for file, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
        run, start = positions.slice(start, end - start), end
        if file is None:
            yield run, _columns(pa.table({}), len(run), wanted)
        else:
            yield from _rows_of(file, run, key, wanted)


def _rows_of(
    file: str, positions: pa.RecordBatch, key: str, wanted: pa.Schema
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """The rows of one file, row group by row group."""
    numbers = _numbers(file, positions, key)
    order = np.argsort(numbers, kind="stable")
    ends = _group_ends(file)
    groups = np.searchsorted(ends, numbers[order], side="right")
    for group in np.unique(groups):
        here = order[groups == group]
        start = ends[group - 1] if group else 0
        table = _group(file, int(group), tuple(wanted.names))
        for first in range(0, len(here), _ROWS_AT_ONCE):
            piece = here[first : first + _ROWS_AT_ONCE]
            yield _chosen(positions, piece), _columns(_chosen(table, numbers[piece] - start), len(piece), wanted)


def _chosen(rows: _Rows, numbers: npt.NDArray[np.int64]) -> _Rows:
    """Rows by number; without a copy where the numbers follow one another."""
    first, last = numbers[0], numbers[-1]
    if last - first == len(numbers) - 1 and np.array_equal(numbers, np.arange(first, last + 1)):
        return rows.slice(first, len(numbers))
    return rows.take(pa.array(numbers))


def _columns(found: pa.Table, rows: int, wanted: pa.Schema) -> pa.RecordBatch:
    """The wanted columns of a table; one that it does not have is null."""
    columns = [
        _whole(found[field.name]).cast(field.type) if field.name in found.column_names else pa.nulls(rows, field.type)
        for field in wanted
    ]
    return pa.RecordBatch.from_arrays(columns, schema=wanted)


def _numbers(file: str, positions: pa.RecordBatch, key: str) -> npt.NDArray[np.int64]:
    """Number of each row in its file, from 0."""
    known = _identities(file, key)
    wanted = pa.table([positions.column(name) for name in IDENTITY], list(IDENTITY))
    wanted = wanted.cast(known.drop(["_number"]).schema)
    first = pc.index(known[IDENTITY[0]], wanted[IDENTITY[0]][0]).as_py()
    if first >= 0 and known.slice(first, len(wanted)).drop(["_number"]).equals(wanted):
        return np.arange(first, first + len(wanted))  # in the order of the file: no lookup needed
    wanted = wanted.append_column("_order", pa.array(np.arange(len(positions))))
    found = wanted.join(known, list(IDENTITY), join_type="inner").sort_by("_order")
    if len(found) != len(positions):
        raise LookupError(f"{file}: expected {len(positions)} rows, found {len(found)}")
    return found["_number"].to_numpy()


def opened(file: str) -> pa.NativeFile:
    """The file at Spark's address of it, opened for Arrow."""
    address = file.replace("s3a://", "s3://", 1)
    if address.startswith("file:/") and not address.startswith("file://"):
        address = address.replace("file:/", "file:///", 1)
    system, path = pyarrow.fs.FileSystem.from_uri(address)
    return system.open_input_file(path)


@lru_cache(maxsize=4)
def _reader(file: str) -> pq.ParquetFile:
    return pq.ParquetFile(opened(file))


@lru_cache(maxsize=4)
def _identities(file: str, key: str) -> pa.Table:
    """Key and times of every row of a file, with its number."""
    table = _reader(file).read([key, *TIMES]).select([key, *TIMES]).rename_columns(list(IDENTITY))
    return table.append_column("_number", pa.array(np.arange(len(table))))


def _group_ends(file: str) -> npt.NDArray[np.int64]:
    """The number of rows up to the end of each row group."""
    metadata = _reader(file).metadata
    return np.cumsum([metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)], dtype=np.int64)


@lru_cache(maxsize=1)
def _group(file: str, group: int, names: tuple[str, ...]) -> pa.Table:
    """One row group; the last one is kept, for the next batch of positions in a file."""
    reader = _reader(file)
    return reader.read_row_group(group, [name for name in names if name in reader.schema_arrow.names])


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
