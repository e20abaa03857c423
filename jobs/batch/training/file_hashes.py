"""Hash of the data in a training set's files, to check that a rebuilt set has the same bytes.

Parquet's footer is not included. It lists each column's encodings in an order that changes from one Java process to the
next (a hash set of objects without a hash of their own), although the described pages are the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date

from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from headrace.tables import GOLD_RANKING_EXAMPLES, GOLD_RETRIEVAL_EXAMPLES
from jobs.batch.engine.lake import Lake
from jobs.batch.engine.row_positions import opened

_BLOCK = 16 * 2**20
_TAIL = 8
"""Bytes after the footer: its length and the format's name."""


def training_bytes(lake: Lake, day: date) -> str:
    """SHA-256 over the data of both sets of `day`. The files are read by Spark's workers."""
    hashed = F.udf(data_hash, StringType(), useArrow=False)
    digest = hashlib.sha256()
    for table in (GOLD_RETRIEVAL_EXAMPLES, GOLD_RANKING_EXAMPLES):
        rows = lake.read(table).where(F.col("day") == F.lit(day))
        files = rows.select("_metadata.file_path", "_metadata.file_name").distinct()
        # In the order of Spark's file numbers: a set has one file of each number.
        for _, of_file in sorted(files.select("file_name", hashed("file_path")).collect()):
            digest.update(bytes.fromhex(of_file))
    return digest.hexdigest()


def data_hash(file: str) -> str:
    """SHA-256 of a Parquet file up to its footer."""
    digest = hashlib.sha256()
    for block in _data(file):
        digest.update(block)
    return digest.hexdigest()


def _data(file: str) -> Iterator[bytes]:
    with opened(file) as source:
        size = source.size()
        footer = int.from_bytes(source.read_at(4, size - _TAIL), "little")
        end = size - _TAIL - footer
        for start in range(0, end, _BLOCK):
            yield source.read_at(min(_BLOCK, end - start), start)
