"""Whether a training set was rebuilt to the byte: the hash of the data in its files.

Parquet's footer is left out. It lists each column's encodings in an order that changes from one Java process to the
next (a hash set of objects that have no hash of their own), although the pages that they describe are the same.
"""

from __future__ import annotations

import hashlib
from datetime import date

from pyspark.sql import functions as F

from headrace.tables import GOLD_RANKING_EXAMPLES, GOLD_RETRIEVAL_EXAMPLES, Table
from jobs.batch.lake import Lake
from jobs.batch.places import opened

_TAIL = 8
"""Bytes behind the footer: its length and the format's name."""


def training_bytes(lake: Lake, day: date) -> str:
    """SHA-256 of the data of both sets of `day`, file by file."""
    digest = hashlib.sha256()
    for table in (GOLD_RETRIEVAL_EXAMPLES, GOLD_RANKING_EXAMPLES):
        for file in _files(lake, table, day):
            digest.update(data_of(file))
    return digest.hexdigest()


def data_of(file: str) -> bytes:
    """A Parquet file up to its footer."""
    with opened(file) as source:
        size = source.size()
        footer = int.from_bytes(source.read_at(4, size - _TAIL), "little")
        return bytes(source.read_at(size - _TAIL - footer, 0))


def _files(lake: Lake, table: Table, day: date) -> list[str]:
    """Addresses in the order in which Spark numbered them: a set has one file of each number."""
    rows = lake.read(table).where(F.col("day") == F.lit(day)).select("_metadata.file_path", "_metadata.file_name")
    return [row["file_path"] for row in sorted(rows.distinct().collect(), key=lambda row: row["file_name"])]
