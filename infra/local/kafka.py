"""Kafka on this machine: one KRaft node, broker and controller in one process, run from the jars without containers."""

from __future__ import annotations

import base64
import socket
import subprocess
import uuid
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from headrace.errors import HeadraceError, ServiceError
from headrace.machine.jars import HINT as JARS_HINT
from headrace.machine.jars import engine_jars, missing_jars
from headrace.machine.java import java_home
from headrace.machine.ports import LOOPBACK, free_port, local_port, require_free
from headrace.machine.run_records import RunRecord
from headrace.machine.subprocesses import child_environment
from headrace.settings import Settings
from infra.local.processes import start

NAME = "kafka"
SETTING = "kafka.bootstrap_servers"
JVM_OPTIONS = (
    "-Xms128m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # C1 compiler only: half the CPU time to start, fast enough for one node
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss",
)

SERVER_PROPERTIES = """\
# Written by `headrace up`; changes are overwritten.
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
controller.quorum.voters=1@{host}:{controller_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
# One node holds the only replica of every topic.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# After a crash the controller waits for the old session to end before it accepts the broker again.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000
# A month, so that a laptop closed for two weeks loses neither events nor consumer offsets.
log.retention.hours=720
# What was deleted before an offset leaves the disk with its whole file: a day, not a week, after it was begun.
log.roll.hours=24
offsets.retention.minutes=43200
# The default of 128 MB is a quarter of this heap.
log.cleaner.dedupe.buffer.size=16777216
"""


def start_kafka(settings: Settings) -> RunRecord:
    """Start the broker and make the topics; returns once it answers. Raises HeadraceError saying what is in the way."""
    port = local_port(SETTING, settings.kafka.bootstrap_servers)
    home = settings.home_folder / NAME
    properties = home / "server.properties"

    def prepare() -> None:
        if problem := missing_jars(settings.jars):
            raise HeadraceError(f"Kafka's jars: {problem}", JARS_HINT)
        require_free(port, SETTING, settings.kafka.bootstrap_servers)
        home.mkdir(parents=True, exist_ok=True)
        properties.write_text(
            SERVER_PROPERTIES.format(host=LOOPBACK, port=port, controller_port=free_port(), data=home / "data"),
            encoding="utf-8",
        )
        if not (home / "data" / "meta.properties").exists():
            _format_storage(settings, properties)

    return start(
        NAME,
        [*_java_command(settings), "kafka.Kafka", str(properties)],
        settings,
        before=prepare,
        ready=lambda: topics_exist(settings),
        address=settings.kafka.bootstrap_servers,
    )


def topics_exist(settings: Settings) -> bool:
    """Whether the broker is reachable and has the topics of the settings; creates missing ones."""
    missing = _missing_topics(settings)
    if not missing:
        return missing is not None
    topics = [NewTopic(name, settings.kafka.partitions, 1) for name in missing]
    admin = _admin(settings)  # kept in a variable: its futures never complete once it is garbage-collected
    try:
        for made in admin.create_topics(topics).values():
            made.result(timeout=10)
    except (KafkaException, TimeoutError):
        return False
    return not _missing_topics(settings)


def answers(settings: Settings) -> bool:
    """Whether the broker lists its topics."""
    return _missing_topics(settings) is not None


def _missing_topics(settings: Settings) -> list[str] | None:
    """Topics that the broker does not have; None if it is not reachable."""
    if not _accepts(local_port(SETTING, settings.kafka.bootstrap_servers)):
        return None
    try:
        known = _admin(settings).list_topics(timeout=5).topics
    except KafkaException:
        return None
    return [name for name in settings.kafka.topics if name not in known]


def _admin(settings: Settings) -> Any:
    return AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers, "log_level": 0})


def _accepts(port: int) -> bool:
    """Whether a process listens on the port; cheaper than a client's retries."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def _java_command(settings: Settings) -> list[str]:
    engine_jars(settings.jars, NAME)
    return [str(java_home() / "bin" / "java"), *JVM_OPTIONS, "-cp", f"{settings.jars / NAME}/*"]


def _format_storage(settings: Settings, properties: Path) -> None:
    cluster_id = (
        base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "_")
    )  # no option's "-" first
    command = [*_java_command(settings), "kafka.tools.StorageTool", "format"]
    answer = subprocess.run(
        [*command, "--cluster-id", cluster_id, "--config", str(properties), "--ignore-formatted"],
        capture_output=True,
        text=True,
        env=child_environment(settings),
        check=False,
    )
    if answer.returncode:
        lines = (answer.stderr or answer.stdout).strip().splitlines()
        raise ServiceError(
            f"Kafka's folder {properties.parent} could not be prepared: {lines[-1] if lines else 'no output'}",
            "Remove that folder to start with an empty one",
        )
