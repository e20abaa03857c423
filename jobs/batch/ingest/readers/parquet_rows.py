"""Rows of a Parquet file, whatever wrote it: read by Arrow, because Spark knows neither nanoseconds nor like names."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from headrace.errors import BadInputError
from jobs.batch.ingest.readers.json_writer import json_objects
from jobs.batch.ingest.readers.json_values import is_bytes, share_of_text, unsupported

BATCH_ROWS = 8192


@dataclass(frozen=True)
class ParquetPart:
    """Some row groups of a Parquet file."""

    path: Path
    columns: Sequence[str]
    """The contract's names of the columns."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """What every row has beside its columns."""
    row_groups: Sequence[int] = ()
    first_row: int = 1
    """Number of the row that they begin with."""

    def rows(self) -> Iterator[tuple[pa.Array, pa.Array]]:
        """The rows as JSON text with their numbers; one with bytes that are no text begins with that, and is no JSON.

        Raises BadInputError where the file is damaged.
        """
        number = self.first_row
        try:
            with pq.ParquetFile(self.path, page_checksum_verification=True) as file:
                for batch in file.iter_batches(BATCH_ROWS, row_groups=list(self.row_groups), use_threads=False):
                    count = batch.num_rows
                    columns = dict(zip(self.columns, batch.columns, strict=True))
                    more = {n: pa.repeat(text, count) for n, text in self.constants.items() if n not in columns}
                    yield json_objects({**columns, **more}), pa.array(range(number, number + count), pa.int64())
                    number += count
        except (pa.ArrowException, OSError) as error:
            raise _damaged(self.path, error) from None


def parquet_schema(path: Path, scalars: Collection[str], names: Mapping[str, str]) -> tuple[list[str], list[int]]:
    """Names of the file's columns, and the number of rows in each of its row groups; all of it is read once.

    Raises BadInputError for a file that is damaged or no Parquet, and for a column of a type that JSON has no word for,
    of bytes that are mostly no text, or nested where the contract wants one value (`scalars`).
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            schema = file.schema_arrow
            odd = {column.name: kind for column in schema if (kind := unsupported(column.type)) is not None}
            for number, batch in enumerate(file.iter_batches(2**16)):
                for column, values in zip(schema, batch.columns, strict=True):
                    if number == 0 and is_bytes(column.type) and share_of_text(values) < 0.5:
                        odd[column.name] = column.type
            groups = [file.metadata.row_group(place).num_rows for place in range(file.num_row_groups)]
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None
    nested = [column for column in schema if pa.types.is_nested(column.type)]
    odd |= {column.name: column.type for column in nested if names.get(column.name, column.name) in scalars}
    for name, kind in odd.items():
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
