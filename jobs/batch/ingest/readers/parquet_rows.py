"""Rows of a Parquet file, read by Arrow: Spark supports neither nanoseconds nor duplicate column names."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.errors import BadInputError
from jobs.batch.ingest.readers.json_values import is_bytes, share_of_text, unsupported
from jobs.batch.ingest.readers.json_writer import json_objects

BATCH_ROWS = 8192


@dataclass(frozen=True)
class ParquetPart:
    """Some rows of a Parquet file."""

    path: Path
    columns: Sequence[str]
    """The contract's names of the columns."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """Values that every row has in addition to its columns."""
    row_groups: Sequence[int] = ()
    """Row groups that have them."""
    first_row: int = 1
    """Number of the first one."""
    skipped: int = 0
    """Rows of the row groups before the first one."""
    count: int = 0

    def rows(self) -> Iterator[tuple[pa.Array, pa.Array]]:
        """The rows as JSON text with numbers; one with bytes that are not text begins with the reason, and is not JSON.

        Raises BadInputError where the file is damaged.
        """
        number = self.first_row
        try:
            for batch in self._batches():
                count = batch.num_rows
                columns = dict(zip(self.columns, batch.columns, strict=True))
                more = {n: pa.repeat(text, count) for n, text in self.constants.items() if n not in columns}
                yield json_objects({**columns, **more}), pa.array(range(number, number + count), pa.int64())
                number += count
        except (pa.ArrowException, OSError) as error:
            raise _damaged(self.path, error) from None

    def _batches(self) -> Iterator[pa.RecordBatch]:
        skip, left = self.skipped, self.count
        with pq.ParquetFile(self.path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(BATCH_ROWS, row_groups=list(self.row_groups), use_threads=False):
                wanted = batch.slice(min(skip, batch.num_rows), left)
                skip, left = max(0, skip - batch.num_rows), left - wanted.num_rows
                if wanted.num_rows:
                    yield wanted
                if not left:
                    return


def parquet_parts(
    path: Path, columns: Sequence[str], constants: Mapping[str, str], group_rows: Sequence[int], most_rows: int
) -> list[ParquetPart]:
    """The file in parts of about equal size, from the number of rows of each row group.

    A row group of a million rows, as many writers make them, is so read by several tasks.
    """
    ends = np.cumsum([0, *group_rows])
    parts = max(1, -(-int(ends[-1]) // most_rows))
    found = []
    for start, end in pairwise(int(ends[-1]) * part // parts for part in range(parts + 1)):
        first = int(np.searchsorted(ends, start, side="right")) - 1
        groups = range(first, int(np.searchsorted(ends, end)))
        found.append(ParquetPart(path, columns, constants, groups, start + 1, start - int(ends[first]), end - start))
    return found


def parquet_schema(path: Path, scalars: Collection[str], names: Mapping[str, str]) -> tuple[list[str], list[int]]:
    """Names of the file's columns, and the number of rows in each of its row groups; reads the whole file once.

    Raises BadInputError for a file that is damaged or not Parquet, and for a column of a type without JSON form, of
    bytes that are mostly not text, or nested where the contract expects one value (`scalars`).
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            schema = file.schema_arrow
            unreadable = {column.name: kind for column in schema if (kind := unsupported(column.type)) is not None}
            for number, batch in enumerate(file.iter_batches(2**16)):
                for column, values in zip(schema, batch.columns, strict=True):
                    if number == 0 and is_bytes(column.type) and share_of_text(values) < 0.5:
                        unreadable[column.name] = column.type
            groups = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None
    nested = [column for column in schema if pa.types.is_nested(column.type)]
    unreadable |= {column.name: column.type for column in nested if names.get(column.name, column.name) in scalars}
    for name, kind in unreadable.items():
        raise BadInputError(
            f"{path.name}: column '{name}' is {kind}, expected text, a number or a time",
            "Convert it, or leave it out",
        )
    return schema.names, groups


def _damaged(path: Path, error: Exception) -> BadInputError:
    reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
    return BadInputError(
        f"{path} is not a Parquet file, or is damaged: no row of it was imported ({reason})",
        "Create or download it again",
    )
