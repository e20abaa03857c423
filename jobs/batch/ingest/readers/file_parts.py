"""Files as rows of bronze: each file in parts, each part read by one task.

A part is read by Python and Arrow (`csv_rows`, `json_rows`, `parquet_rows`): Spark's readers truncate some
quoted values, replace bytes that are not text, and support neither Zstandard nor nanoseconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from headrace.errors import BadInputError
from jobs.batch.ingest.readers.csv_records import header
from jobs.batch.ingest.readers.csv_rows import CsvPart
from jobs.batch.ingest.readers.files import InputFile
from jobs.batch.ingest.readers.json_rows import JsonPart, field_names
from jobs.batch.ingest.readers.parquet_rows import ParquetPart, parquet_parts, parquet_schema
from jobs.batch.ingest.readers.text_cuts import cuts
from jobs.batch.ingest.readers.text_lines import codec_of, require_text

Part: TypeAlias = CsvPart | JsonPart | ParquetPart
PART_ROWS = 50_000
TASKS_PER_CORE = 8
_ROWS = pa.schema(
    [("raw", pa.string()), ("source", pa.string()), ("source_partition", pa.int32()), ("source_offset", pa.int64())]
)


@dataclass(frozen=True)
class Expected:
    """Expected columns of the files."""

    required: str
    """The column of the contract that every file of this kind has."""
    scalars: Collection[str] = ()
    """Columns of the contract with a single value."""
    numbers: Collection[str] = ()
    """Numeric columns of the contract, also where the file has only texts."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Column names of the files → names of the contract."""
    separator: str = ""
    """Separator of CSV files; empty: detected in the header."""


def raw_rows(spark: SparkSession, files: Sequence[InputFile], expected: Expected) -> DataFrame:
    """The rows of files (at least one) as `raw` (JSON text), `source`, `source_partition` and `source_offset`.

    The offset is the row's number: in a text file the line it begins on, from 1, the header's included. A row that
    cannot be read is not JSON and begins with the reason, so that the contract refuses it by its number. Raises
    BadInputError, before any row is read, for a file that is damaged or lacks an expected column.
    """
    parts = [(file.source, part) for file in files for part in parts_of(file, expected)]
    tasks = max(1, min(len(parts), TASKS_PER_CORE * spark.sparkContext.defaultParallelism))

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for index in batch.column(0).to_pylist():
                source, part = parts[index]
                for raw, numbers in part.rows():
                    constant = pa.repeat(source, len(raw)), pa.repeat(pa.scalar(0, pa.int32()), len(raw))
                    yield pa.record_batch([raw, *constant, numbers], schema=_ROWS)

    schema = "raw string, source string, source_partition int, source_offset long"
    return spark.range(0, len(parts), 1, tasks).mapInArrow(read, schema)


def parts_of(file: InputFile, expected: Expected) -> list[Part]:
    """The file in parts. Raises BadInputError as `raw_rows` does."""
    constants = {expected.names.get(name, name): text for name, text in file.constants.items()}
    if file.kind == "parquet":
        theirs, group_rows = parquet_schema(file.path, expected.scalars, expected.names)
        columns = _columns(file, theirs, expected, constants)
        return [*parquet_parts(file.path, columns, constants, group_rows, PART_ROWS)]
    require_text(file.path)
    if file.kind == "csv":
        given, separator = header(file.path, expected.required, expected.names, expected.separator)
        if not given:
            return []
        columns = _columns(file, given, expected, constants)
        return [
            CsvPart(file.path, columns, separator, expected.numbers, constants, *cut) for cut in _cuts(file, separator)
        ]
    names = field_names(file.path)
    if names is None:
        return []
    _require(file, names, expected, constants)
    return [JsonPart(file.path, expected.names, constants, *cut) for cut in _cuts(file, None)]


def _cuts(file: InputFile, separator: str | None) -> list[tuple[int, int | None, int]]:
    return [(0, None, 1)] if codec_of(file.path) else cuts(file.path, separator)


def _columns(file: InputFile, given: Sequence[str], expected: Expected, constants: Mapping[str, str]) -> list[str]:
    """The contract's names of the file's columns. Raises BadInputError where two have one name, or one is missing."""
    columns = [expected.names.get(name.strip(), name.strip()) for name in given]
    _require(file, given, expected, constants)
    name, times = Counter(columns).most_common(1)[0]
    if times > 1:
        theirs = [f"'{each}'" for each, ours in zip(given, columns, strict=True) if ours == name]
        raise BadInputError(
            f"{file.path.name} has {times} columns '{name}' ({', '.join(theirs)})",
            "Keep one of them, or give the others another name",
        )
    return columns


def _require(file: InputFile, given: Sequence[str], expected: Expected, constants: Mapping[str, str]) -> None:
    names = [name.strip() for name in given]
    if expected.required in {*constants, *(expected.names.get(name, name) for name in names)}:
        return
    shown = ", ".join(names[:12]) or "none"
    separator = ", or what separates them with `--separator`" if file.kind == "csv" else ""
    raise BadInputError(
        f"{file.path.name} has no column '{expected.required}' (its columns: {shown})",
        f"Name the column that holds it with `--map THEIRS={expected.required}`{separator}",
    )
