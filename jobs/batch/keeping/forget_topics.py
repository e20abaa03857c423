"""A user's records on the topics: pending ones are ingested, then all records up to the user's last one are deleted.

Kafka cannot delete a record from the middle of a topic, only all records before an offset. No data is lost: a record
is deleted only if it was ingested, and if the stream has read it too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from datetime import date

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headrace.errors import ServiceError
from headrace.machine.stream_state import CONSUMER_GROUP
from headrace.settings import Settings
from jobs.batch.engine.broker import Broker, Offsets, connected_broker
from jobs.batch.engine.lake import Lake
from jobs.batch.engine.personal_rows import Requests, of_the_forgotten, until_moments
from jobs.batch.engine.received_people import EVER, Clock
from jobs.batch.engine.retries import UnavailableError
from jobs.batch.ingest.topic import from_kafka, ingest_kafka, ingest_notes

_CHECKPOINTS_WAITED = 3
"""The stream commits offsets with its checkpoints: if it lags, it gets the time of so many to catch up."""


def ingest_pending(lake: Lake, settings: Settings, day: date) -> Offsets:
    """Ingest pending records; returns the offsets up to which bronze has them. Empty if no broker is reachable."""
    try:
        with connected_broker(lake, settings) as broker:
            ends = broker.ends(broker.topics(settings.kafka.topics))
    except UnavailableError:
        return {}
    if any(topic == settings.kafka.events_topic for topic, _ in ends):
        ingest_kafka(lake, settings, day)
    ingest_notes(lake, settings, day)
    return ends


def remove_from_topics(
    lake: Lake,
    settings: Settings,
    asked: Requests,
    held: Offsets,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, int]:
    """Delete from each topic that is not compacted the records up to the last one, of `held`, with a request.

    Where the stream lags, only up to its offsets. Returns by topic the number of changed partitions. Raises
    ServiceError where the broker refuses the request.
    """
    if not held or not asked:
        return {}
    moved: dict[str, int] = {}
    with connected_broker(lake, settings) as broker:
        for topic in sorted({topic for topic, _ in held}):
            if broker.is_compacted(topic):
                continue
            theirs = of_the_forgotten(_records(lake, settings, topic), Clock.NOTE, until_moments(asked), "key")
            wanted = {key: min(after, held[key]) for key, after in _ends(theirs, topic).items() if key in held}
            if topic == settings.kafka.events_topic:
                wanted = _up_to_the_stream(broker, settings, wanted, sleep)
            if wanted:
                broker.delete_before(wanted)
                moved[f"topic {topic}"] = len(wanted)
    return moved


def remove_from_compacted(lake: Lake, settings: Settings, subjects: Sequence[str]) -> dict[str, int]:
    """Write a tombstone for each subject to the compacted topics; returns the records by topic."""
    try:
        with connected_broker(lake, settings) as broker:
            topics = [topic for topic in broker.topics(settings.kafka.topics) if broker.is_compacted(topic)]
    except UnavailableError:
        return {}
    for topic in topics:
        rows = lake.spark.createDataFrame([(subject, None) for subject in subjects], "key string, value string")
        servers = settings.kafka.bootstrap_servers
        rows.write.format("kafka").option("kafka.bootstrap.servers", servers).option("topic", topic).save()
    return {f"topic {topic}": len(subjects) for topic in topics}


def found_on_topics(lake: Lake, settings: Settings, hashes: Collection[str]) -> dict[str, str]:
    """By topic the number of records of the subjects, read from its start to its end; or why it is unknown."""
    try:
        with connected_broker(lake, settings) as broker:
            return {
                f"topic {topic}": text
                for topic in broker.topics(settings.kafka.topics)
                if (text := _found(lake, settings, broker, topic, hashes))
            }
    except ServiceError as error:
        return {"topics": f"not checked: {error.problem}"}


def _found(lake: Lake, settings: Settings, broker: Broker, topic: str, hashes: Collection[str]) -> str:
    ever = dict.fromkeys(hashes, EVER)
    theirs = of_the_forgotten(_records(lake, settings, topic), Clock.NOTE, ever, "key")
    counted = F.count("*").alias("records"), F.max("received_at").alias("newest"), F.max("source_offset").alias("last")
    try:
        rows = theirs.groupBy("source_partition").agg(*counted).collect()
    except PySparkException as error:
        return f"could not be read: {str(error).splitlines()[0][:200]}"
    if not rows:
        return ""
    records, newest = sum(row["records"] for row in rows), max(row["newest"] for row in rows)
    text = f"{records:,} records, the newest of {newest:%Y-%m-%d %H:%M}"
    if broker.is_compacted(topic):
        return f"{text}; they are deleted when the broker compacts the topic"
    read = _read_by_stream(broker, topic)
    if read and any(read.get((topic, row["source_partition"]), 0) <= row["last"] for row in rows):
        return f"{text}; the stream has not read them yet: start it (`headrace up stream`), then run this command again"
    return text


def _records(lake: Lake, settings: Settings, topic: str) -> DataFrame:
    """The records on the topic, in bronze's form, with their key."""
    records = (
        lake.spark.read.format("kafka")
        .option("kafka.bootstrap.servers", settings.kafka.bootstrap_servers)
        .option("subscribe", topic)
        .load()
        .where("value IS NOT NULL")
    )
    return from_kafka(records, F.col("key").cast("string").alias("key"))


def _ends(records: DataFrame, topic: str) -> dict[tuple[str, int], int]:
    rows = records.groupBy("source_partition").agg(F.max("source_offset").alias("last")).collect()
    return {(topic, row["source_partition"]): row["last"] + 1 for row in rows}


def _read_by_stream(broker: Broker, topic: str) -> Offsets:
    """The stream's committed offsets of the topic; empty where it has none."""
    return {key: offset for key, offset in broker.committed(CONSUMER_GROUP).items() if key[0] == topic}


def _up_to_the_stream(
    broker: Broker, settings: Settings, wanted: Offsets, sleep: Callable[[float], None]
) -> dict[tuple[str, int], int]:
    """The offsets, limited to those that the stream has committed; unchanged where there never was a stream."""
    interval = settings.flink.checkpoint_interval_ms / 1000
    for wait in [*[interval] * _CHECKPOINTS_WAITED, 0.0]:
        read = _read_by_stream(broker, settings.kafka.events_topic)
        reached = {key: min(after, read.get(key, 0)) if read else after for key, after in wanted.items()}
        if reached == dict(wanted) or not wait:
            break
        sleep(wait)
    return {key: offset for key, offset in reached.items() if offset > 0}
