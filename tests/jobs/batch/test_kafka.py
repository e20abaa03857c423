"""The events topic → bronze: each record once, over a stop and a new start."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from pyspark.sql import SparkSession

from headrace.settings import Settings
from headrace.settings_groups import CleanSettings
from headrace.tables import BRONZE_EVENTS, REJECTED_EVENTS, SILVER_EVENTS
from jobs.batch.clean import clean
from jobs.batch.ingest import ingest_kafka
from jobs.batch.lake import Lake
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
