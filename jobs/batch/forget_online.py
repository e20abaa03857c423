"""A person online and on the topics: the store's rows are deleted, records are looked for to the end of each topic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import redis
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from headrace import feature_rows
from headrace.errors import ServiceError
from headrace.forgotten import FORGOTTEN_KEY
from headrace.online_store import live_key
from headrace.settings import Settings
from headrace.tables import microseconds
from jobs.batch.ingest_topic import check_broker
from jobs.batch.lake import Lake
from jobs.batch.patience import AwayError
from jobs.batch.personal_rows import Requests, subject_in

_TIMEOUT_S = 10.0


def connected(settings: Settings) -> redis.Redis:
    """The online store. Raises ServiceError where it does not answer."""
    store = redis.Redis.from_url(settings.store.url, socket_timeout=_TIMEOUT_S)
    try:
        store.ping()
    except redis.RedisError as error:
        raise ServiceError(
            f"the online store at {settings.store.url} does not answer ({type(error).__name__})",
            "Start it with `headrace up`, or set HEADRACE_STORE__URL; nothing was removed yet",
        ) from None
    return store


def mark_forgotten(store: redis.Redis, asked: Requests) -> None:
    """Let the stream know of the requests, and of no others: those whose time has passed are taken off."""
    with store.pipeline() as together:
        together.delete(FORGOTTEN_KEY)
        if asked:
            together.hset(FORGOTTEN_KEY, mapping={hashed: microseconds(at) for hashed, at in asked.items()})
        together.execute()


def remove_online(store: redis.Redis, subjects: Iterable[str]) -> int:
    """Delete the batch row and the live row of each subject; how many there were.

    A store that keeps a log of its writes is asked to write it anew, without them.
    """
    keys = [key for subject in subjects for key in _keys(subject)]
    removed = sum(bool(store.delete(key)) for key in keys)  # one by one: in a cluster they live apart
    with suppress(redis.RedisError):  # managed stores do so by themselves, and refuse to be told
        store.execute_command("BGREWRITEAOF")  # type: ignore[no-untyped-call]
    return removed


def found_online(store: redis.Redis, subjects: Iterable[str]) -> list[str]:
    """The keys of the subjects that are there: of all keys, those that hold one of the ids where ids are."""
    wanted = {key: f"{kind} row of {subject}" for subject in subjects for key, kind in _keys(subject).items()}
    return sorted(wanted[key] for key in store.scan_iter(count=1000) if key in wanted)


def _keys(subject: str) -> dict[bytes, str]:
    return {feature_rows.row_key(feature_rows.USER_KEY, subject): "batch", live_key(subject).encode(): "live"}


def found_on_topics(lake: Lake, settings: Settings, hashes: Sequence[str]) -> dict[str, str]:
    """By topic how many records are about the subjects, read from its beginning to its end; or that nobody can say."""
    try:
        check_broker(settings.kafka.bootstrap_servers)
    except AwayError as error:
        return {"topics": f"not looked at: {error.problem}"}
    return {
        f"topic {topic}": said for topic in settings.kafka.topics if (said := _found(lake, settings, topic, hashes))
    }


def remove_from_compacted(lake: Lake, settings: Settings, subjects: Sequence[str]) -> dict[str, int]:
    """Write an empty record for each subject to the topics that keep the last one of each key; records by topic."""
    try:
        check_broker(settings.kafka.bootstrap_servers)
    except AwayError:
        return {}
    topics = [topic for topic in settings.kafka.topics if "compact" in _policy(lake, settings, topic)]
    for topic in topics:
        rows = lake.spark.createDataFrame([(subject, None) for subject in subjects], "key string, value string")
        servers = settings.kafka.bootstrap_servers
        rows.write.format("kafka").option("kafka.bootstrap.servers", servers).option("topic", topic).save()
    return {f"topic {topic}": len(subjects) for topic in topics}


def _found(lake: Lake, settings: Settings, topic: str, hashes: Sequence[str]) -> str:
    records = (
        lake.spark.read.format("kafka")
        .option("kafka.bootstrap.servers", settings.kafka.bootstrap_servers)
        .option("subscribe", topic)
        .load()
        .where("value IS NOT NULL")
        .select(F.col("key").cast("string"), F.col("value").cast("string").alias("raw"), "timestamp")
    )
    theirs = F.sha2("key", 256).isin(*hashes) | F.sha2(F.expr(subject_in("raw")), 256).isin(*hashes)
    try:
        row = records.where(theirs).agg(F.count("*").alias("records"), F.max("timestamp").alias("newest")).head()
    except PySparkException as error:
        return f"could not be read: {str(error).splitlines()[0][:200]}"
    return f"{row['records']:,} records, the newest of {row['newest']:%Y-%m-%d %H:%M}" if row["records"] else ""


def _policy(lake: Lake, settings: Settings, topic: str) -> str:
    """The topic's `cleanup.policy`, as the broker tells it to the Java client that is in Spark already."""
    jvm: Any = lake.spark.sparkContext._jvm
    given = jvm.java.util.Properties()
    for name, value in _ADMIN.items() | {("bootstrap.servers", settings.kafka.bootstrap_servers)}:
        given.put(name, value)
    kafka = jvm.org.apache.kafka
    resource = kafka.common.config.ConfigResource(kafka.common.config.ConfigResource.Type.TOPIC, topic)
    admin = kafka.clients.admin.AdminClient.create(given)
    try:
        told = admin.describeConfigs(jvm.java.util.List.of(resource)).all().get()
        return str(told.get(resource).get("cleanup.policy").value())
    finally:
        admin.close()


_ADMIN: Mapping[str, str] = {"default.api.timeout.ms": "10000", "request.timeout.ms": "5000"}
