"""A topic loses only what bronze holds and the stream has read; the check says what it sees, and what it can't."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from pyspark.sql import SparkSession

from headrace.forgotten import subject_hash
from headrace.machine.stream_state import CONSUMER_GROUP
from headrace.settings import Settings
from headrace.tables import BRONZE_EVENTS, SILVER_BOTS
from jobs.batch.engine.lake import Lake
from jobs.batch.ingest.topic import ingest_kafka
from jobs.batch.keeping.forget_check import what_is_left
from jobs.batch.keeping.forget_topics import found_on_topics, ingest_pending, remove_from_topics
from tests.jobs.batch.worlds import DAY, collected, days_before, purchase

ANNA = subject_hash("anna")
ASKED = {ANNA: datetime(2026, 11, 21, 9, tzinfo=UTC)}
EVENTS = [purchase(f"e{n}", user, f"i{n}", days_before(1)) for n, user in enumerate(["anna", "bert", "anna", "bert"])]


@pytest.fixture
def place(services: Settings, tmp_path: Path) -> Settings:
    """An events topic of one partition; of the others there is none."""
    names = {"events_topic": "trim-events", "impressions_topic": "trim-none", "rejected_topic": "trim-nothing"}
    kafka = services.kafka.model_copy(update=names)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    admin.create_topics([NewTopic("trim-events", 1, 1)])["trim-events"].result()
    return services.model_copy(update={"home": tmp_path, "kafka": kafka})


def send(settings: Settings, *events: dict[str, object]) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap_servers})
    for event in events:
        producer.produce("trim-events", json.dumps(event).encode())
    assert producer.flush(30) == 0


def test_the_topic_begins_after_the_persons_last_record_once_the_stream_has_read_it_and_nothing_is_lost(
    place: Settings, spark: SparkSession
) -> None:
    lake = Lake(spark, place.lake_root)
    consumer = Consumer({"bootstrap.servers": place.kafka.bootstrap_servers, "group.id": CONSUMER_GROUP})

    def stream_has_read(offset: int) -> None:
        for _ in range(100):  # a broker's first group takes a while to be made
            with suppress(KafkaException):
                consumer.commit(offsets=[TopicPartition("trim-events", 0, offset)], asynchronous=False)
                return
            time.sleep(0.1)

    def first_on_topic() -> int:
        return int(consumer.get_watermark_offsets(TopicPartition("trim-events", 0), timeout=10)[0])

    send(place, *EVENTS)
    stream_has_read(1)
    held = ingest_pending(lake, place, DAY)
    assert held == {("trim-events", 0): 4}
    waited: list[float] = []
    remove_from_topics(lake, place, ASKED, held, waited.append)
    assert first_on_topic() == 1
    assert waited == [place.flink.checkpoint_interval_ms / 1000] * 3
    left = found_on_topics(lake, place, [ANNA])["topic trim-events"]
    assert left.startswith("1 records, the newest of ")
    assert "the stream has not read them yet" in left

    remove_from_topics(lake, place, ASKED, held, lambda _: stream_has_read(4))
    assert first_on_topic() == 3  # bert's last one stays
    assert found_on_topics(lake, place, [ANNA]) == {}
    consumer.close()

    send(place, purchase("e4", "bert", "i4", days_before(0)))  # the ingest goes on behind what is gone
    assert ingest_kafka(lake, place, DAY) == 1
    assert [row["source_offset"] for row in collected(lake, BRONZE_EVENTS)] == [0, 1, 2, 3, 4]


def test_the_check_reads_the_statistics_in_a_tables_log_and_reports_that_no_broker_is_reachable(
    services: Settings, spark: SparkSession, tmp_path: Path
) -> None:
    nowhere = services.kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:1"})
    place = services.model_copy(update={"home": tmp_path, "kafka": nowhere})
    lake = Lake(spark, place.lake_root)
    rows = spark.sql(
        f"SELECT 'anna' AS subject_id, 'too_many' AS reason, 1L AS seen, 1L AS allowed, DATE'{DAY}' AS day"
    )
    spark.conf.set("spark.databricks.delta.stats.collect", "true")
    try:
        lake.append(rows, SILVER_BOTS)
    finally:
        spark.conf.set("spark.databricks.delta.stats.collect", "false")
    log = Path(lake.path(SILVER_BOTS)) / "_delta_log"
    jvm = spark.sparkContext._jvm
    delta = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, lake.path(SILVER_BOTS))
    delta.checkpoint()
    assert len(list(log.glob("*.checkpoint.parquet"))) == 1
    left = what_is_left(lake, place, ["anna"])
    assert set(left) == {"silver.bots", "log of silver.bots", "topics"}
    assert left["topics"] == "not checked: no Kafka broker is reachable at 127.0.0.1:1"
    for commit in (*log.glob("*.json"), *log.glob("*.crc")):
        commit.unlink()
    assert what_is_left(lake, place, ["anna"])["log of silver.bots"] == "1 lines"
