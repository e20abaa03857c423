"""Kafka and Valkey, really started on free ports in a folder of their own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from headrace.errors import BadInputError, HeadraceError
from headrace.machine.ports import free_port
from headrace.machine.run_records import read_record
from headrace.settings import Settings
from infra.local import kafka
from infra.local import services as local
from infra.local.services import down, status, up
from infra.local.valkey import start_valkey

SERVICES = ["kafka", "valkey"]


def settings_in(home: Path) -> Settings:
    return Settings(
        home=home,
        kafka={"bootstrap_servers": f"127.0.0.1:{free_port()}", "partitions": 3},
        store={"url": f"redis://127.0.0.1:{free_port()}/0"},
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = settings_in(tmp_path_factory.mktemp("parts"))
    try:
        up(settings, SERVICES)
        yield settings
    finally:
        down(settings)


def pids(settings: Settings) -> dict[str, int | None]:
    return {row.name: row.pid for row in status(settings) if row.name in SERVICES}


def states(settings: Settings) -> dict[str, str]:
    return {row.name: row.state for row in status(settings) if row.name in SERVICES}


def kill(settings: Settings, name: str) -> None:
    record = read_record(settings.home_folder, name)
    assert record is not None
    process = psutil.Process(record.pid)
    os.kill(record.pid, signal.SIGKILL)
    process.wait(10)


def test_the_registry_does_not_write_a_line_for_every_request(services):
    """A running service asks it every few seconds."""
    assert local.SERVICES["mlflow"].answers(services)
    log = (services.home_folder / "logs" / "mlflow.log").read_text()
    assert "startup complete" in log and "GET /health" not in log


def test_every_topic_is_there_with_the_partitions_of_the_settings(running):
    topics = AdminClient({"bootstrap.servers": running.kafka.bootstrap_servers}).list_topics(timeout=10).topics
    assert {name: len(topics[name].partitions) for name in running.kafka.topics} == dict.fromkeys(
        running.kafka.topics, 3
    )


def test_a_second_up_leaves_the_processes_alone(running):
    before = pids(running)
    up(running, SERVICES)
    assert pids(running) == before


def test_parts_listen_on_loopback_only(running):
    listening = [
        connection.laddr.ip
        for pid in pids(running).values()
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert set(listening) <= {"127.0.0.1", "::ffff:127.0.0.1"}


def test_a_killed_store_is_shown_as_gone_and_up_brings_it_back_with_its_data(running):
    redis.Redis.from_url(running.store.url).set("kept", "yes")
    kill(running, "valkey")
    assert states(running) == {"kafka": "up", "valkey": "gone"}
    up(running, SERVICES)
    assert states(running) == {"kafka": "up", "valkey": "up"}
    assert redis.Redis.from_url(running.store.url).get("kept") == b"yes"


def test_a_killed_broker_comes_back_with_its_events(running):
    servers = {"bootstrap.servers": running.kafka.bootstrap_servers}
    producer = Producer(servers)
    producer.produce(running.kafka.events_topic, b"kept", partition=0)
    assert producer.flush(10) == 0
    kill(running, "kafka")
    up(running, SERVICES)
    consumer = Consumer({**servers, "group.id": "test"})
    consumer.assign([TopicPartition(running.kafka.events_topic, 0, 0)])
    message = consumer.poll(20)
    consumer.close()
    assert message is not None and message.value() == b"kept"


def test_the_command_says_what_runs(running):
    answer = subprocess.run(
        [sys.executable, "-m", "infra.local", "status"],
        env={**os.environ, **running.as_environment()},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 1  # MLflow is down
    assert re.search("│ valkey +│ up ", answer.stdout) and re.search("│ mlflow +│ down ", answer.stdout)


def test_down_leaves_no_process_and_a_later_up_starts_a_new_one(tmp_path):
    settings = settings_in(tmp_path)
    first = start_valkey(settings)
    assert down(settings) == ["valkey"]
    assert not psutil.pid_exists(first.pid)
    try:
        assert start_valkey(settings).pid != first.pid
    finally:
        down(settings)


def test_a_taken_port_is_said_in_one_sentence_with_setting_and_mend(tmp_path):
    settings = settings_in(tmp_path)
    port = int(settings.store.url.rpartition(":")[2].partition("/")[0])
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        with pytest.raises(HeadraceError) as error:
            start_valkey(settings)
    text = str(error.value)
    assert text.startswith(f"Port {port} of setting 'store.url' is in use by ")
    assert "HEADRACE_STORE__URL=redis://127.0.0.1:" in text and "\n" not in text


def test_a_broker_on_another_machine_is_not_started_here(tmp_path):
    settings = Settings(home=tmp_path, kafka={"bootstrap_servers": "kafka:9092"})
    with pytest.raises(
        BadInputError, match=r"'kafka.bootstrap_servers' is 'kafka:9092', which is not an address of this"
    ):
        kafka.start_kafka(settings)


def test_up_names_every_part_that_could_not_be_started(tmp_path, monkeypatch):
    def no_java() -> Path:
        raise HeadraceError("Java 11 in /opt/java does not fit: 17 to 21 is needed", "Install a full JDK 17")

    monkeypatch.setattr(kafka, "java_home", no_java)
    settings = Settings(
        home=tmp_path,
        kafka={"bootstrap_servers": f"127.0.0.1:{free_port()}"},
        store={"url": "redis://elsewhere:6379/0"},
    )
    with pytest.raises(HeadraceError, match=r"Java 11 .* does not fit.*\n.*'store.url' is 'redis://elsewhere:6379/0'"):
        up(settings, SERVICES)


def test_jars_of_another_list_are_not_used(tmp_path):
    settings = Settings(home=tmp_path, jars=tmp_path / "jars", kafka={"bootstrap_servers": f"127.0.0.1:{free_port()}"})
    with pytest.raises(HeadraceError, match=r"No jars of kafka|no complete set of jars"):
        kafka.start_kafka(settings)
