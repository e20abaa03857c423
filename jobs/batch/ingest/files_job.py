"""Job `ingest`, from files: their rows → bronze, append only, without validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from headrace.events import Event
from headrace.tables import BRONZE_EVENTS, BRONZE_ITEMS, BRONZE_USERS, Table
from jobs.batch.clean.item_rules import ITEM_FIELDS
from jobs.batch.engine.lake import Lake
from jobs.batch.engine.personal_rows import requests, with_subjects
from jobs.batch.ingest.readers.file_parts import Expected, raw_rows
from jobs.batch.ingest.readers.files import InputFile, find_files


@dataclass(frozen=True)
class Inputs:
    """What to import."""

    events: Sequence[Path] = ()
    items: Sequence[Path] = ()
    users: Sequence[Path] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    """Column names of the files → names of the contract."""
    separator: str = ""
    """Separator of CSV files; empty: detected in each header."""


_EXPECTED = {
    BRONZE_EVENTS: Expected("event_type", set(Event.model_fields) - {"context"}, ("value", "price", "position")),
    BRONZE_ITEMS: Expected("item_id", ITEM_FIELDS),
    BRONZE_USERS: Expected("user_id", ["user_id"]),
}


def ingest_files(lake: Lake, inputs: Inputs, received_at: datetime) -> int:
    """Append the files that are not in bronze yet (`not_imported_yet`); returns the number of rows added.

    Raises BadInputError, before anything is written, where one of them cannot be read.
    """
    wanted = wanted_files(inputs)
    new = {table: not_imported_yet(lake, table, files, received_at) for table, files in wanted.items()}
    rows = {table: file_rows(lake.spark, files, inputs, table) for table, files in new.items() if files}
    forget_requests = requests(lake)
    return sum(
        lake.append_delivery(with_subjects(received(raw, received_at), table, forget_requests), table)
        for table, raw in rows.items()
    )


def wanted_files(inputs: Inputs) -> dict[Table, list[InputFile]]:
    """The files to import by bronze table, in the order of the import.

    Raises BadInputError, before anything is written, for a path that does not exist or has no supported ending.
    """
    paths = {BRONZE_ITEMS: inputs.items, BRONZE_USERS: inputs.users, BRONZE_EVENTS: inputs.events}
    return {table: find_files(given) for table, given in paths.items()}


def not_imported_yet(lake: Lake, table: Table, files: list[InputFile], at: datetime) -> list[InputFile]:
    """The files to append if they are received `at` this moment.

    A file of events is known by name and content: their ids make it so. A file of states (items, users) says what holds
    from then on, and may say again what held before: only the last delivery of that moment and name is known.
    """
    if not files:
        return []
    known = lake.read(table)
    if table is not BRONZE_EVENTS:
        by_name = Window.partitionBy(F.regexp_extract("source", "^(.*)#", 1)).orderBy(F.desc("arrival"))
        of_moment = known.where(F.col("received_at") == F.lit(at)).select("source", "arrival").distinct()
        known = of_moment.withColumn("_rank", F.rank().over(by_name)).where("_rank = 1")
    imported = {row["source"] for row in known.select("source").distinct().collect()}
    return [file for file in files if file.source not in imported]


def file_rows(spark: SparkSession, files: Sequence[InputFile], inputs: Inputs, table: Table) -> DataFrame:
    """The raw rows of all files (at least one). Raises BadInputError, before any row is read, for one that has none."""
    expected = replace(_EXPECTED[table], names=inputs.names, separator=inputs.separator)
    return raw_rows(spark, files, expected)


def received(rows: DataFrame, at: datetime) -> DataFrame:
    """Raw rows of files with the receiver's clock."""
    return rows.withColumn("received_at", F.lit(at)).withColumn("day", F.lit(at.date()))
