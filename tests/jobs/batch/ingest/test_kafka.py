"""The events topic → bronze: each record once, over a stop, a new start, another machine and a restored lake."""

from __future__ import annotations

import json
import os
import shutil
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
from headrace.tables import BRONZE_EVENTS, REJECTED_EVENTS
from infra.local.kafka import start_kafka
from infra.local.services import local_services
from jobs.batch.clean.job import clean
from jobs.batch.engine.broker import connected_broker
from jobs.batch.engine.lake import Lake
from jobs.batch.ingest.topic import Answer, ingest_kafka
from jobs.batch.quality.arrivals import gap_findings
from tests.conftest import settings_on_free_ports
from tests.jobs.batch.worlds import DAY, collected, purchase


def send(settings: Settings, values: Iterable[bytes]) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap_servers})
    for value in values:
        producer.produce(settings.kafka.events_topic, value)
    assert producer.flush(30) == 0


@pytest.fixture
def place(services: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """A lake, and a topic of one partition."""
    kafka = services.kafka.model_copy(update={"events_topic": f"ingest-{request.node.name[5:40]}"})
    settings = services.model_copy(update={"home": tmp_path, "lake": str(tmp_path / "lake"), "kafka": kafka})
    make_topic(settings)
    return settings


def make_topic(settings: Settings) -> None:
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    topic = settings.kafka.events_topic
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result()


def events(first: int, last: int) -> list[bytes]:
    return [json.dumps(purchase(f"k{n}", "u1", f"i{n}", "2026-11-01T10:00:00Z")).encode() for n in range(first, last)]


def test_each_record_of_the_topic_arrives_once_also_on_another_machine_and_into_a_restored_lake(
    place: Settings, spark: SparkSession, tmp_path: Path
) -> None:
    lake = Lake(spark, place.lake_root)
    send(place, [*events(0, 10), b"\xff\xfe no text"])
    assert ingest_kafka(lake, place, DAY) == 11
    assert ingest_kafka(lake, place, DAY) == 0
    shutil.copytree(tmp_path / "lake", tmp_path / "backup")
    send(place, [*events(10, 20), *events(0, 1)])
    elsewhere = place.model_copy(update={"home": tmp_path / "elsewhere"})  # nothing is known but the tables
    elsewhere.kafka.batch_records = 4
    assert ingest_kafka(Lake(spark, place.lake_root), elsewhere, DAY) == 11
    restored = Lake(spark, f"{tmp_path}/backup")
    assert ingest_kafka(restored, elsewhere, DAY) == 11
    for each in (lake, restored):
        assert [row["source_offset"] for row in collected(each, BRONZE_EVENTS)] == list(range(22))
        done = clean(each, CleanSettings())
        assert (done.events, done.rejected) == (20, 1)
    assert collected(lake, REJECTED_EVENTS)[0]["reason"] == "malformed"


def test_a_gap_is_a_finding_and_the_ingest_goes_on_after_it(
    place: Settings, spark: SparkSession, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = Lake(spark, place.lake_root)

    def gaps() -> list[str]:
        (finding,) = gap_findings(lake, BRONZE_EVENTS, DAY)
        assert finding.passed == (not finding.samples)
        return list(finding.samples)

    topic = place.kafka.events_topic
    send(place, events(0, 3))
    assert ingest_kafka(lake, place, DAY) == 3
    assert gaps() == []
    send(place, events(3, 9))
    with connected_broker(lake, place) as broker:
        broker.delete_before({(topic, 0): 7})  # as retention does
    assert ingest_kafka(lake, place, DAY) == 2
    assert gaps() == [f"topic '{topic}', partition 0: 4 records from offset 3 were deleted before their ingest"]
    admin = AdminClient({"bootstrap.servers": place.kafka.bootstrap_servers})
    admin.delete_topics([topic])[topic].result()
    make_topic(place)
    send(place, events(7, 12))  # two of them sent again
    assert ingest_kafka(lake, place, DAY) == 5
    assert ingest_kafka(lake, place, DAY) == 0
    assert gaps()[1:] == [
        f"topic '{topic}', partition 0: made anew after offset 9; what was not ingested of the old one is lost"
    ]
    assert "the ingest goes on after them" in capsys.readouterr().err
    assert clean(lake, CleanSettings()).events == 3 + 5


def test_a_lake_from_before_places_were_noted_goes_on_after_its_last_rows(place: Settings, spark: SparkSession) -> None:
    lake = Lake(spark, place.lake_root)
    send(place, events(0, 3))
    assert ingest_kafka(lake, place, DAY) == 3
    old = lake.read(BRONZE_EVENTS).localCheckpoint()
    shutil.rmtree(lake.path(BRONZE_EVENTS))
    lake.append(old, BRONZE_EVENTS)
    send(place, events(3, 5))
    assert ingest_kafka(lake, place, DAY) == 2


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
    wide = [purchase(f"k{n}", "u1", "i1", "2026-11-01T10:00:00Z", note="x" * 10_000) for n in range(2000)]
    send(settings, [json.dumps(event).encode() for event in wide])
    killed = threading.Thread(target=lambda: (wait_for_rows(lake), kill(settings)))
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            start_kafka(settings)

    killed.start()
    assert ingest_kafka(lake, settings, DAY, Answer(seconds=4), sleep) == 2000
    killed.join()
    assert waited[:2] == [1, 2]
    rows = collected(lake, BRONZE_EVENTS)
    assert sorted(json.loads(row["raw"])["event_id"] for row in rows) == sorted(event["event_id"] for event in wide)
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
        ingest_kafka(Lake(spark, settings.lake_root), settings, DAY, sleep=waited.append)
    assert waited == [1, 2, 2]


def test_a_missing_topic_is_said_at_once(services: Settings, spark: SparkSession, tmp_path: Path) -> None:
    kafka = services.kafka.model_copy(update={"events_topic": "no-such-topic"})
    settings = services.model_copy(update={"home": tmp_path, "lake": str(tmp_path / "lake"), "kafka": kafka})
    with pytest.raises(ServiceError, match="topic 'no-such-topic' could not be read"):
        ingest_kafka(Lake(spark, settings.lake_root), settings, DAY, sleep=lambda _: pytest.fail("waited"))
