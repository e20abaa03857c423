"""The events topic → bronze: each record once, over a stop and a new start."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from pyspark.sql import SparkSession

from headrace.errors import ServiceError
from headrace.machine.run_records import read_record
from headrace.settings import Settings
from headrace.settings.jobs import CleanSettings
from headrace.tables import BRONZE_EVENTS, REJECTED_EVENTS, SILVER_EVENTS
from infra.local.kafka import start_kafka
from infra.local.services import local_services
from jobs.batch.clean.job import clean
from jobs.batch.engine.lake import Lake
from jobs.batch.ingest.topic import Answer, ingest_kafka
from tests.conftest import settings_on_free_ports
from tests.jobs.batch.worlds import collected, purchase


def send(settings: Settings, values: Iterable[bytes]) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap_servers})
    for value in values:
        producer.produce(settings.kafka.events_topic, value)
    assert producer.flush(30) == 0


def test_each_record_of_the_topic_arrives_once_also_after_a_restart(
    services: Settings, spark: SparkSession, tmp_path: Path
) -> None:
    kafka = services.kafka.model_copy(update={"events_topic": "batch-ingest-test"})
    settings = services.model_copy(update={"home": tmp_path, "lake": str(tmp_path / "lake"), "kafka": kafka})
    lake = Lake(spark, settings.lake_root)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    admin.create_topics([NewTopic(kafka.events_topic, 2, 1)])[kafka.events_topic].result()
    events = [json.dumps(purchase(f"k{n}", "u1", f"i{n}", "2026-11-01T10:00:00Z")).encode() for n in range(20)]
    send(settings, [*events[:10], b"\xff\xfe no text"])
    assert ingest_kafka(lake, settings) == 11
    assert ingest_kafka(lake, settings) == 0
    send(settings, [*events[10:], events[0]])
    restarted = Lake(spark, settings.lake_root)  # nothing is remembered but the checkpoint and the tables
    assert ingest_kafka(restarted, settings) == 11
    assert len(collected(lake, BRONZE_EVENTS)) == 22
    done = clean(lake, CleanSettings())
    assert (done.events, done.rejected) == (20, 1)
    assert len({row["event_id"] for row in collected(lake, SILVER_EVENTS)}) == 20
    assert collected(lake, REJECTED_EVENTS)[0]["reason"] == "malformed"


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Settings]:
    """A broker that no other test uses, to be killed."""
    with local_services(settings_on_free_ports(tmp_path / "own"), ["kafka"]) as settings:
        yield settings


def kill(settings: Settings) -> None:
    record = read_record(settings.home_folder, "kafka")
    assert record is not None
    process = psutil.Process(record.pid)
    os.kill(record.pid, signal.SIGKILL)
    process.wait(10)


def test_a_broker_killed_during_the_ingest_and_back_later_loses_nothing_and_nothing_comes_twice(
    own_broker: Settings, spark: SparkSession
) -> None:
    settings = own_broker.model_copy(update={"kafka": own_broker.kafka.model_copy(update={"batch_records": 400})})
    lake = Lake(spark, settings.lake_root)
    # Wide enough that no consumer has fetched what comes after the first batch when the broker goes.
    events = [purchase(f"k{n}", "u1", "i1", "2026-11-01T10:00:00Z", note="x" * 10_000) for n in range(2000)]
    send(settings, [json.dumps(event).encode() for event in events])
    killed = threading.Thread(target=lambda: (wait_for_rows(lake), kill(settings)))
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            start_kafka(settings)

    killed.start()
    assert ingest_kafka(lake, settings, Answer(seconds=4), sleep) == 2000
    killed.join()
    assert waited[:2] == [1, 2]
    rows = collected(lake, BRONZE_EVENTS)
    assert sorted(json.loads(row["raw"])["event_id"] for row in rows) == sorted(event["event_id"] for event in events)
    for partition in range(2):
        offsets = [row["source_offset"] for row in rows if row["source_partition"] == partition]
        assert offsets == list(range(len(offsets)))


def wait_for_rows(lake: Lake) -> None:
    """Until the first batch is committed."""
    log = Path(lake.path(BRONZE_EVENTS)) / "_delta_log"
    deadline = time.monotonic() + 60
    while len(list(log.glob("*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)


def test_a_broker_that_stays_away_is_said_in_one_sentence_after_the_time_of_the_settings(
    services: Settings, spark: SparkSession, tmp_path: Path
) -> None:
    kafka = services.kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:1", "retry_seconds": 5.0})
    settings = services.model_copy(update={"home": tmp_path, "lake": str(tmp_path / "lake"), "kafka": kafka})
    waited: list[float] = []
    with pytest.raises(
        ServiceError, match=r"^no Kafka broker is reachable at 127.0.0.1:1 after 5 s of retries\. Start"
    ):
        ingest_kafka(Lake(spark, settings.lake_root), settings, sleep=waited.append)
    assert waited == [1, 2, 2]


def test_a_missing_topic_is_said_at_once(services: Settings, spark: SparkSession, tmp_path: Path) -> None:
    kafka = services.kafka.model_copy(update={"events_topic": "no-such-topic"})
    settings = services.model_copy(update={"home": tmp_path, "lake": str(tmp_path / "lake"), "kafka": kafka})
    with pytest.raises(ServiceError, match="topic 'no-such-topic' could not be read"):
        ingest_kafka(Lake(spark, settings.lake_root), settings, sleep=lambda _: pytest.fail("waited"))
