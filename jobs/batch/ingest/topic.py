"""Job `ingest`, from Kafka: new records of the topics → bronze, each exactly once, also if the broker restarts."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pyspark.errors import StreamingQueryException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headrace.errors import HeadraceError, ServiceError
from headrace.settings import Settings
from headrace.tables import BRONZE_EVENTS, BRONZE_NOTES, Table
from jobs.batch.clean.event_rules import as_text
from jobs.batch.engine.broker import check_broker
from jobs.batch.engine.lake import Lake
from jobs.batch.engine.personal_rows import requests, without_forgotten
from jobs.batch.engine.retries import UnavailableError, with_retries
from jobs.batch.engine.spark_errors import is_known_error

_UNAVAILABLE = (
    *("TimeoutException", "DisconnectException", "NetworkException", "BrokerNotAvailableException"),
    *("LeaderNotAvailableException", "NotLeaderOrFollowerException", "CoordinatorNotAvailableException"),
    *("ListenerNotFoundException", "KafkaStorageException"),
)
"""Errors of the Kafka client that only mean that the broker is not reachable (yet)."""
_UNKNOWN_TOPIC = "UnknownTopicOrPartitionException"


@dataclass(frozen=True)
class Answer:
    """Timeout of the broker's response, after which it counts as unavailable."""

    seconds: float = 30.0

    def options(self) -> dict[str, str]:
        """The Kafka source's options for this timeout, on the driver and in the tasks."""
        milliseconds = str(round(self.seconds * 1000))
        return {
            "kafkaConsumer.pollTimeoutMs": milliseconds,
            "kafka.default.api.timeout.ms": milliseconds,
            "kafka.request.timeout.ms": milliseconds,
            "fetchOffset.numRetries": "1",
        }


@dataclass(frozen=True)
class _Feed:
    """Topics whose records go into one table."""

    table: Table
    topics: tuple[str, ...]
    checkpoint: Path
    option: tuple[str, str]
    """The Kafka source's options for one set of topics."""


def ingest_kafka(
    lake: Lake,
    settings: Settings,
    answer: Answer = Answer(),
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Append all records of the events topic after those of the last run, each once; returns the rows added.

    Spark keeps its offsets in `<home>/checkpoints/ingest`; the Delta sink writes a batch once. So nothing is lost
    when the broker is unavailable: for `kafka.retry_seconds` the job retries from its last offsets.

    Raises ServiceError if the broker stays unavailable, or if the topic does not exist.
    """
    topic = settings.kafka.events_topic
    checkpoint = settings.home_folder / "checkpoints" / "ingest"
    return _ingest(lake, settings, _Feed(BRONZE_EVENTS, (topic,), checkpoint, ("subscribe", topic)), answer, sleep)


def ingest_notes(
    lake: Lake,
    settings: Settings,
    answer: Answer = Answer(),
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Append the service's impressions and dead letters to `bronze.notes` in the same way; returns the rows added.

    A topic that does not exist counts as empty.
    """
    topics = settings.kafka.impressions_topic, settings.kafka.rejected_topic
    checkpoint = settings.home_folder / "checkpoints" / "ingest_notes"
    pattern = "|".join(map(re.escape, topics))
    return _ingest(
        lake, settings, _Feed(BRONZE_NOTES, topics, checkpoint, ("subscribePattern", pattern)), answer, sleep
    )


def _ingest(lake: Lake, settings: Settings, feed: _Feed, answer: Answer, sleep: Callable[[float], None]) -> int:
    lake.ensure(feed.table)
    before = lake.version(feed.table)
    was_unavailable = False

    def attempt() -> None:
        nonlocal was_unavailable
        done = _batches_done(feed)
        try:
            _append_new(lake, settings, feed, answer)
        except StreamingQueryException as error:
            if is_known_error(error):
                raise
            # A broker that has just restarted may not list its topics yet.
            was_unavailable = _says(error, *_UNAVAILABLE) or (was_unavailable and _says(error, _UNKNOWN_TOPIC))
            if not was_unavailable and _batches_done(feed) > done:
                # Spark 4.1 fails each time it has repeated an interrupted batch, though the batch is written: its
                # progress report needs the topic's end offsets, which it has not fetched yet.
                attempt()
                return
            raise _explained(settings, feed, error, was_unavailable) from None
        except UnavailableError:
            was_unavailable = True
            raise

    with_retries(attempt, settings.kafka.retry_seconds, sleep, lambda line: print(line, file=sys.stderr, flush=True))
    return lake.appended(feed.table, before).count()


def from_kafka(records: DataFrame, *more: Column) -> DataFrame:
    """Bronze rows of Kafka records; bytes that are not UTF-8 are kept as base64, which the contract then refuses."""
    return records.select(
        as_text(F.col("value")).alias("raw"),
        F.concat(F.lit("kafka:"), F.col("topic")).alias("source"),
        F.col("partition").alias("source_partition"),
        F.col("offset").alias("source_offset"),
        F.col("timestamp").alias("received_at"),
        F.to_date("timestamp").alias("day"),
        *more,
    )


def _append_new(lake: Lake, settings: Settings, feed: _Feed, answer: Answer) -> None:
    """One query from the checkpoint to the end of the topics, one commit for every `kafka.batch_records`."""
    check_broker(settings.kafka.bootstrap_servers)
    source = (
        lake.spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", settings.kafka.bootstrap_servers)
        .option(*feed.option)
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", settings.kafka.batch_records)
        .options(**answer.options())
        .load()
    )
    query = (
        without_forgotten(from_kafka(source), feed.table, requests(lake))
        .writeStream.format("delta")
        .partitionBy("day")
        .option("checkpointLocation", str(feed.checkpoint))
        .trigger(availableNow=True)
        .start(lake.path(feed.table))
    )
    query.awaitTermination()


def _batches_done(feed: _Feed) -> int:
    """Number of the last batch that the checkpoint records as written; -1 where there is none."""
    numbers = (file.name for file in (feed.checkpoint / "commits").glob("*"))
    return max((int(number) for number in numbers if number.isdigit()), default=-1)


def _says(error: StreamingQueryException, *names: str) -> bool:
    return any(name in str(error) for name in names)


def _explained(settings: Settings, feed: _Feed, error: StreamingQueryException, unavailable: bool) -> HeadraceError:
    topic = "', '".join(feed.topics)
    if unavailable:
        return UnavailableError(
            f"the Kafka broker at {settings.kafka.bootstrap_servers} became unavailable while topic '{topic}' was read",
            "Nothing was lost: start it with `headrace up` and run the job again",
        )
    return ServiceError(
        f"topic '{topic}' could not be read: {str(error).splitlines()[0][:300]}",
        "Check that the topic exists (`headrace up` creates it). Nothing was lost: run the job again",
    )
