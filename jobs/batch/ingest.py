"""Job `ingest`: files and the events topic → bronze, append only, nothing judged and nothing lost."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from pathlib import Path

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headrace.errors import ServiceError
from headrace.settings import Settings
from headrace.tables import BRONZE_EVENTS, BRONZE_ITEMS, BRONZE_USERS, Table
from jobs.batch.files import InputFile, find_files, raw_rows
from jobs.batch.lake import Lake


@dataclass(frozen=True)
class Inputs:
    """What to take in."""

    events: Sequence[Path] = ()
    items: Sequence[Path] = ()
    users: Sequence[Path] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    """Column names of the files → names of the contract."""


REQUIRED = {BRONZE_EVENTS.path: "event_type", BRONZE_ITEMS.path: "item_id", BRONZE_USERS.path: "user_id"}


def ingest_files(lake: Lake, inputs: Inputs, received_at: datetime) -> int:
    """Append the files that bronze does not hold yet, known by name and content; returns the number of rows added."""
    wanted = [
        (table, file)
        for table, paths in ((BRONZE_ITEMS, inputs.items), (BRONZE_USERS, inputs.users), (BRONZE_EVENTS, inputs.events))
        for file in find_files(paths)
    ]
    added = 0
    for table in (BRONZE_ITEMS, BRONZE_USERS, BRONZE_EVENTS):
        files = _not_taken_yet(lake, table, [file for its_table, file in wanted if its_table is table])
        if files:
            rows = [raw_rows(lake.spark, file, inputs.names, REQUIRED[table.path]) for file in files]
            added += lake.append(received(reduce(DataFrame.unionByName, rows), received_at), table)
    return added


def received(rows: DataFrame, at: datetime) -> DataFrame:
    """Raw rows of files with the receiver's clock."""
    return rows.withColumn("received_at", F.lit(at)).withColumn("day", F.lit(at.date()))


def ingest_kafka(lake: Lake, settings: Settings) -> int:
    """Append everything that the events topic holds beyond the last run, each record once, also over a crash.

    Spark keeps its place in `<home>/checkpoints/ingest`; the Delta sink takes a batch once. Returns the rows added.
    """
    lake.ensure(BRONZE_EVENTS)
    before = lake.version(BRONZE_EVENTS)
    source = (
        lake.spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", settings.kafka.bootstrap_servers)
        .option("subscribe", settings.kafka.events_topic)
        .option("startingOffsets", "earliest")
        .load()
    )
    checkpoint = settings.home_folder / "checkpoints" / "ingest"
    _check_broker(settings.kafka.bootstrap_servers)
    query = (
        from_kafka(source)
        .writeStream.format("delta")
        .partitionBy("day")
        .option("checkpointLocation", str(checkpoint))
        .trigger(availableNow=True)
        .start(lake.path(BRONZE_EVENTS))
    )
    try:
        query.awaitTermination()
    except StreamingQueryException as error:
        raise ServiceError(
            f"topic '{settings.kafka.events_topic}' could not be read: {str(error).splitlines()[0][:300]}",
            "Is the topic there? `headrace up` makes it; nothing was lost, run the job again",
        ) from None
    return lake.appended(BRONZE_EVENTS, before).count()


def from_kafka(records: DataFrame) -> DataFrame:
    """Bronze rows of Kafka records; bytes that are no UTF-8 are kept as base64, which the contract then refuses."""
    text = F.col("value").cast("string")
    raw = F.when(F.is_valid_utf8(text), text).otherwise(F.concat(F.lit("base64:"), F.base64("value")))
    return records.select(
        F.coalesce(raw, F.lit("")).alias("raw"),
        F.concat(F.lit("kafka:"), F.col("topic")).alias("source"),
        F.col("partition").alias("source_partition"),
        F.col("offset").alias("source_offset"),
        F.col("timestamp").alias("received_at"),
        F.to_date("timestamp").alias("day"),
    )


def _not_taken_yet(lake: Lake, table: Table, files: list[InputFile]) -> list[InputFile]:
    if not files:
        return []
    taken = {row["source"] for row in lake.read(table).select("source").distinct().collect()}
    return [file for file in files if file.source not in taken]


def _check_broker(servers: str) -> None:
    """Say at once that no broker answers: Spark would try for a minute.

    Raises ServiceError.
    """
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
            return
        except (OSError, ValueError):
            continue
    raise ServiceError(f"no Kafka broker answers at {servers}", "Start it with `headrace up`")
