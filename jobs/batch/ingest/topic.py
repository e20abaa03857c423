"""Job `ingest`, from Kafka: what is new on the topics → bronze, each record once, though a broker goes away."""

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

_AWAY = (
    *("TimeoutException", "DisconnectException", "NetworkException", "BrokerNotAvailableException"),
    *("LeaderNotAvailableException", "NotLeaderOrFollowerException", "CoordinatorNotAvailableException"),
    *("ListenerNotFoundException", "KafkaStorageException"),
)
"""Errors of the Kafka client that say nothing but that the broker does not answer (yet)."""
_UNKNOWN_TOPIC = "UnknownTopicOrPartitionException"


@dataclass(frozen=True)
class Answer:
    """How long a broker may take to answer before that counts as being away."""

    seconds: float = 30.0

    def options(self) -> dict[str, str]:
        """The Kafka source's options that say so, on the driver and in the tasks."""
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
    """Append everything that the events topic holds beyond the last run, each record once; returns the rows added.

    Spark keeps its place in `<home>/checkpoints/ingest`; the Delta sink takes a batch once. So nothing is lost
    when a broker goes away: for `kafka.retry_seconds` the job tries again from where it was.

    Raises ServiceError if the broker stays away, or if the topic is not there.
    """
    topic = settings.kafka.events_topic
    place = settings.home_folder / "checkpoints" / "ingest"
    return _ingest(lake, settings, _Feed(BRONZE_EVENTS, (topic,), place, ("subscribe", topic)), answer, sleep)


def ingest_notes(
    lake: Lake,
    settings: Settings,
    answer: Answer = Answer(),
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Append what the service noted (impressions, dead letters) to `bronze.notes`, likewise; returns the rows added.

    A topic that is not there has nothing to give.
    """
    topics = settings.kafka.impressions_topic, settings.kafka.rejected_topic
    place = settings.home_folder / "checkpoints" / "ingest_notes"
    pattern = "|".join(map(re.escape, topics))
    return _ingest(lake, settings, _Feed(BRONZE_NOTES, topics, place, ("subscribePattern", pattern)), answer, sleep)


def _ingest(lake: Lake, settings: Settings, feed: _Feed, answer: Answer, sleep: Callable[[float], None]) -> int:
    lake.ensure(feed.table)
    before = lake.version(feed.table)
    was_away = False

    def attempt() -> None:
        nonlocal was_away
        done = _batches_done(feed)
        try:
            _take_new(lake, settings, feed, answer)
        except StreamingQueryException as error:
            if is_known_error(error):
                raise
            # A broker that has just come back may not know its topics yet.
            was_away = _says(error, *_AWAY) or (was_away and _says(error, _UNKNOWN_TOPIC))
            if not was_away and _batches_done(feed) > done:
                # Spark 4.1 fails each time it has repeated a batch that was cut off, though the batch is in: to report
                # on it, it needs the topic's end, for which it has not asked yet.
                attempt()
                return
            raise _explained(settings, feed, error, was_away) from None
        except UnavailableError:
            was_away = True
            raise

    with_retries(attempt, settings.kafka.retry_seconds, sleep, lambda line: print(line, file=sys.stderr, flush=True))
    return lake.appended(feed.table, before).count()


def from_kafka(records: DataFrame, *more: Column) -> DataFrame:
    """Bronze rows of Kafka records; bytes that are no UTF-8 are kept as base64, which the contract then refuses."""
    return records.select(
        as_text(F.col("value")).alias("raw"),
        F.concat(F.lit("kafka:"), F.col("topic")).alias("source"),
        F.col("partition").alias("source_partition"),
        F.col("offset").alias("source_offset"),
        F.col("timestamp").alias("received_at"),
        F.to_date("timestamp").alias("day"),
        *more,
    )


def _take_new(lake: Lake, settings: Settings, feed: _Feed, answer: Answer) -> None:
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
    """Number of the last batch that the checkpoint knows as written; -1 where there is none."""
    numbers = (file.name for file in (feed.checkpoint / "commits").glob("*"))
    return max((int(number) for number in numbers if number.isdigit()), default=-1)


def _says(error: StreamingQueryException, *names: str) -> bool:
    return any(name in str(error) for name in names)


def _explained(settings: Settings, feed: _Feed, error: StreamingQueryException, away: bool) -> HeadraceError:
    topic = "', '".join(feed.topics)
    if away:
        return UnavailableError(
            f"the Kafka broker at {settings.kafka.bootstrap_servers} became unavailable while topic '{topic}' was read",
            "Nothing was lost: start it with `headrace up` and run the job again",
        )
    return ServiceError(
        f"topic '{topic}' could not be read: {str(error).splitlines()[0][:300]}",
        "Check that the topic exists (`headrace up` creates it). Nothing was lost: run the job again",
    )
