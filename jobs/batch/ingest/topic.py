"""Job `ingest`, from Kafka: new records of the topics → bronze, each exactly once, also if the broker restarts."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headrace.errors import HeadraceError, ServiceError
from headrace.settings import Settings
from headrace.tables import BRONZE_EVENTS, BRONZE_NOTES, Table
from jobs.batch.clean.event_rules import as_text
from jobs.batch.engine.broker import Offsets, connected_broker, says_unavailable
from jobs.batch.engine.lake import Lake
from jobs.batch.engine.personal_rows import requests, with_subjects
from jobs.batch.engine.retries import UnavailableError, with_retries
from jobs.batch.engine.spark_errors import is_known_error, whole_text
from jobs.batch.ingest.topic_place import Place, batches, commit_note, next_place, recorded_place


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
    required: bool
    """Whether a topic that does not exist is an error, or counts as empty."""


def ingest_kafka(
    lake: Lake,
    settings: Settings,
    day: date,
    answer: Answer = Answer(),
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Append all records of the events topic after those of the last run, each once; returns the rows added.

    Every commit holds rows and the place after them (`topic_place`). So nothing is lost when the broker is unavailable:
    for `kafka.retry_seconds` the job retries from its last commit. `day` is noted with a gap.

    Raises ServiceError if the broker stays unavailable, or if the topic does not exist.
    """
    feed = _Feed(BRONZE_EVENTS, (settings.kafka.events_topic,), required=True)
    return _ingest(lake, settings, feed, day, answer, sleep)


def ingest_notes(
    lake: Lake,
    settings: Settings,
    day: date,
    answer: Answer = Answer(),
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Append the service's impressions and dead letters to `bronze.notes` in the same way; returns the rows added.

    A topic that does not exist counts as empty.
    """
    topics = settings.kafka.impressions_topic, settings.kafka.rejected_topic
    return _ingest(lake, settings, _Feed(BRONZE_NOTES, topics, required=False), day, answer, sleep)


def _ingest(
    lake: Lake, settings: Settings, feed: _Feed, day: date, answer: Answer, sleep: Callable[[float], None]
) -> int:
    lake.ensure(feed.table)
    rows = 0
    was_unavailable = False

    def attempt() -> None:
        nonlocal rows, was_unavailable
        try:
            for added in _deliveries(lake, settings, feed, day, answer):
                rows += added
        except UnavailableError:
            was_unavailable = True
            raise
        except _MissingTopicError as error:  # a broker that has just restarted may not list its topics yet
            if was_unavailable:
                raise UnavailableError(error.problem, error.hint) from None
            raise
        except (PySparkException, Py4JJavaError) as error:
            if is_known_error(error):
                raise
            text = whole_text(error)
            was_unavailable = was_unavailable or says_unavailable(text)
            raise _explained(settings, feed, text, was_unavailable) from None

    with_retries(attempt, settings.kafka.retry_seconds, sleep, _say)
    return rows


def _deliveries(lake: Lake, settings: Settings, feed: _Feed, day: date, answer: Answer) -> Iterator[int]:
    """Commit everything from the table's place to the end of the topics; the rows of each `kafka.batch_records`."""
    with connected_broker(lake, settings) as broker:
        known = broker.topics(feed.topics)
        if feed.required and len(known) < len(feed.topics):
            raise _MissingTopicError(
                f"topic '{feed.topics[0]}' could not be read: it does not exist", "`headrace up` creates it"
            )
        topics = broker.states(known) if known else {}
    place, gaps = next_place(recorded_place(lake, feed.table, feed.topics), topics, day)
    for gap in gaps:
        _say(f"warning: {gap.sentence}; the ingest goes on after them, events that are sent again count once")
    asked = requests(lake)
    for first, after in batches(place, topics, settings.kafka.batch_records):
        rows = with_subjects(from_kafka(_records(lake, settings, first, after, answer)), feed.table, asked)
        place = Place({**place.offsets, **after}, place.ids)
        yield lake.append_delivery(rows, feed.table, commit_note(place, gaps))
        gaps = []
    if gaps:  # with nothing after them
        lake.append(lake.read(feed.table, -1), feed.table, commit_note(place, gaps))


def _records(lake: Lake, settings: Settings, first: Offsets, after: Offsets, answer: Answer) -> DataFrame:
    """The records of the topics from the first offsets until the others."""
    partitions: dict[str, list[int]] = {}
    for topic, partition in first:
        partitions.setdefault(topic, []).append(partition)
    return (
        lake.spark.read.format("kafka")
        .option("kafka.bootstrap.servers", settings.kafka.bootstrap_servers)
        .option("assign", json.dumps(partitions))
        .option("startingOffsets", _as_json(first))
        .option("endingOffsets", _as_json(after))
        .options(**answer.options())
        .load()
    )


def _as_json(offsets: Offsets) -> str:
    of_topic: dict[str, dict[str, int]] = {}
    for (topic, partition), offset in offsets.items():
        of_topic.setdefault(topic, {})[str(partition)] = offset
    return json.dumps(of_topic)


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


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class _MissingTopicError(ServiceError):
    """The topic of the events does not exist."""


def _explained(settings: Settings, feed: _Feed, text: str, unavailable: bool) -> HeadraceError:
    topic = "', '".join(feed.topics)
    if unavailable:
        return UnavailableError(
            f"the Kafka broker at {settings.kafka.bootstrap_servers} became unavailable while topic '{topic}' was read",
            "Nothing was lost: start it with `headrace up` and run the job again",
        )
    return ServiceError(
        f"topic '{topic}' could not be read: {text.splitlines()[0][:300]}",
        "Nothing was lost: run the job again",
    )
