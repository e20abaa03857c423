"""A person on the topics: what waits there is taken in, then every topic begins after the person's last record.

Kafka deletes no record from the middle of a topic, but everything before an offset at once. Nothing is lost by that:
a record goes only if it was on the topic before it was taken in, and if the stream has read it too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headrace.errors import ServiceError
from headrace.machine.stream_state import CONSUMER_GROUP
from headrace.settings import Settings
from headrace.tables import BRONZE_NOTES
from jobs.batch.engine.broker import Broker, Offsets, asked_broker
from jobs.batch.engine.lake import Lake
from jobs.batch.engine.personal_rows import PERSONAL, Personal, Requests, named_by, of_before
from jobs.batch.engine.retries import UnavailableError
from jobs.batch.ingest.topic import from_kafka, ingest_kafka, ingest_notes

_BY_KEY = Personal("key", "received_at")
_CHECKPOINTS_WAITED = 3
"""The stream commits with its checkpoints: where it is behind, it is given the time of so many to catch up."""


def take_in_topics(lake: Lake, settings: Settings) -> Offsets:
    """Take in what waits on the topics; how far bronze holds them. Nothing is taken where no broker answers."""
    try:
        with asked_broker(lake, settings) as broker:
            ends = broker.ends(broker.topics(settings.kafka.topics))
    except UnavailableError:
        return {}
    if any(topic == settings.kafka.events_topic for topic, _ in ends):
        ingest_kafka(lake, settings)
    ingest_notes(lake, settings)
    return ends


def remove_from_topics(
    lake: Lake,
    settings: Settings,
    asked: Requests,
    held: Offsets,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, int]:
    """Let each topic that is not compacted begin after the last record, of `held`, that a request is about.

    Where the stream is behind, only as far as it has come. Returns by topic the partitions that begin later now.
    Raises ServiceError where the broker refuses.
    """
    if not held or not asked:
        return {}
    moved: dict[str, int] = {}
    with asked_broker(lake, settings) as broker:
        for topic in sorted({topic for topic, _ in held}):
            if broker.is_compacted(topic):
                continue
            about_them = of_before(PERSONAL[BRONZE_NOTES], asked) | of_before(_BY_KEY, asked)
            theirs = _records(lake, settings, topic).where(about_them)
            wanted = {place: min(after, held[place]) for place, after in _ends(theirs, topic).items() if place in held}
            if topic == settings.kafka.events_topic:
                wanted = _as_far_as_the_stream(broker, settings, wanted, sleep)
            if wanted:
                broker.delete_before(wanted)
                moved[f"topic {topic}"] = len(wanted)
    return moved


def remove_from_compacted(lake: Lake, settings: Settings, subjects: Sequence[str]) -> dict[str, int]:
    """Write an empty record for each subject to the topics that keep the last one of each key; records by topic."""
    try:
        with asked_broker(lake, settings) as broker:
            topics = [topic for topic in broker.topics(settings.kafka.topics) if broker.is_compacted(topic)]
    except UnavailableError:
        return {}
    for topic in topics:
        rows = lake.spark.createDataFrame([(subject, None) for subject in subjects], "key string, value string")
        servers = settings.kafka.bootstrap_servers
        rows.write.format("kafka").option("kafka.bootstrap.servers", servers).option("topic", topic).save()
    return {f"topic {topic}": len(subjects) for topic in topics}


def found_on_topics(lake: Lake, settings: Settings, hashes: Collection[str]) -> dict[str, str]:
    """By topic how many records are about the subjects, read from its beginning to its end; or that nobody can say."""
    try:
        with asked_broker(lake, settings) as broker:
            return {
                f"topic {topic}": said
                for topic in broker.topics(settings.kafka.topics)
                if (said := _found(lake, settings, broker, topic, hashes))
            }
    except ServiceError as error:
        return {"topics": f"not looked at: {error.problem}"}


def _found(lake: Lake, settings: Settings, broker: Broker, topic: str, hashes: Collection[str]) -> str:
    about_them = named_by(PERSONAL[BRONZE_NOTES], hashes) | named_by(_BY_KEY, hashes)
    theirs = _records(lake, settings, topic).where(about_them)
    counted = F.count("*").alias("records"), F.max("received_at").alias("newest"), F.max("source_offset").alias("last")
    try:
        rows = theirs.groupBy("source_partition").agg(*counted).collect()
    except PySparkException as error:
        return f"could not be read: {str(error).splitlines()[0][:200]}"
    if not rows:
        return ""
    records, newest = sum(row["records"] for row in rows), max(row["newest"] for row in rows)
    said = f"{records:,} records, the newest of {newest:%Y-%m-%d %H:%M}"
    if broker.is_compacted(topic):
        return f"{said}; they go when the broker compacts the topic"
    come = _read_by_stream(broker, topic)
    if come and any(come.get((topic, row["source_partition"]), 0) <= row["last"] for row in rows):
        return f"{said}; the stream has not read them yet: start it (`headrace up stream`), then forget again"
    return said


def _records(lake: Lake, settings: Settings, topic: str) -> DataFrame:
    """The records that are on the topic, as bronze would take them, with their key."""
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
    """How far the stream has read the topic; empty where it never did."""
    return {place: offset for place, offset in broker.committed(CONSUMER_GROUP).items() if place[0] == topic}


def _as_far_as_the_stream(
    broker: Broker, settings: Settings, wanted: Offsets, sleep: Callable[[float], None]
) -> dict[tuple[str, int], int]:
    """The offsets, but none beyond what the stream has committed; all of them where there never was a stream."""
    interval = settings.flink.checkpoint_interval_ms / 1000
    for wait in [*[interval] * _CHECKPOINTS_WAITED, 0.0]:
        come = _read_by_stream(broker, settings.kafka.events_topic)
        reached = {place: min(after, come.get(place, 0)) if come else after for place, after in wanted.items()}
        if reached == dict(wanted) or not wait:
            break
        sleep(wait)
    return {place: offset for place, offset in reached.items() if offset > 0}
