"""Lines of a text file in Zstandard: Spark's reader has no codec for it without Hadoop's native library."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from headrace.errors import BadInputError

ENDING = ".zst"
BATCH_LINES = 4096
_FRAME = b"\x28\xb5\x2f\xfd"
"""What every Zstandard frame begins with."""
_SCHEMA = pa.schema([("line", pa.string()), ("source_offset", pa.int64())])


def require_zstd(path: Path) -> None:
    """Raises BadInputError for a file that is named like one in Zstandard and is none."""
    with path.open("rb") as file:
        if file.read(len(_FRAME)) != _FRAME:
            raise BadInputError(
                f"{path} is no Zstandard file", f"Leave out the ending {ENDING} if it is not compressed"
            )


def zstd_lines(spark: SparkSession, path: Path) -> DataFrame:
    """`line` and `source_offset`, its number from 1: one task streams the whole file, which cannot be split."""
    name = str(path)

    def read(_: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return line_batches(name)

    return spark.range(0, 1, 1, 1).mapInArrow(read, "line string, source_offset long")


def line_batches(path: str) -> Iterator[pa.RecordBatch]:
    """The lines in batches; ended by a line feed, a carriage return or both, bytes that are no UTF-8 replaced."""
    with pa.input_stream(path, compression="zstd") as stream:
        lines = io.TextIOWrapper(stream, encoding="utf-8", errors="replace", newline=None)
        number = 1
        while batch := [line.removesuffix("\n") for line in islice(lines, BATCH_LINES)]:
            yield pa.record_batch([pa.array(batch), pa.array(range(number, number + len(batch)))], schema=_SCHEMA)
            number += len(batch)
