"""Kafka's admin API, through the Java client that is in Spark already."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from py4j.java_gateway import JavaMember
from py4j.protocol import STATIC_PREFIX, Py4JJavaError

from headrace.errors import ServiceError
from headrace.settings import Settings
from jobs.batch.engine.lake import Lake
from jobs.batch.engine.retries import UnavailableError

Offsets = Mapping[tuple[str, int], int]
"""An offset for each partition, by topic and partition number: that of the next record."""
_UNAVAILABLE = (
    *("TimeoutException", "DisconnectException", "NetworkException", "BrokerNotAvailableException"),
    *("LeaderNotAvailableException", "NotLeaderOrFollowerException", "CoordinatorNotAvailableException"),
    *("ListenerNotFoundException", "KafkaStorageException"),
)
"""Errors of the Kafka client that only mean that the broker is not reachable (yet)."""
_OPTIONS: Mapping[str, str] = {"default.api.timeout.ms": "10000", "request.timeout.ms": "5000"}


@dataclass(frozen=True)
class TopicState:
    """A topic as the broker has it: one of the same name that was made anew has another id."""

    id: str
    starts: Mapping[int, int]
    """Offset of the oldest record, by partition."""
    ends: Mapping[int, int]
    """Offset of the next record."""


class Broker:
    """Kafka's admin client. Every method raises ServiceError where the broker refuses the request."""

    def __init__(self, jvm: Any, admin: Any) -> None:
        self._jvm = jvm
        self._admin = admin

    def topics(self, of: Collection[str]) -> list[str]:
        """Those of the topics that exist."""
        known = set(_answer(self._admin.listTopics().names()))
        return [topic for topic in of if topic in known]

    def is_compacted(self, topic: str) -> bool:
        """Whether the topic is compacted: it keeps only the last record of each key."""
        config = self._jvm.org.apache.kafka.common.config
        resource = config.ConfigResource(config.ConfigResource.Type.TOPIC, topic)
        answer = _answer(self._admin.describeConfigs(self._jvm.java.util.List.of(resource)).all())
        return "compact" in str(answer.get(resource).get("cleanup.policy").value())

    def ends(self, topics: Collection[str]) -> Offsets:
        """End offset of each partition."""
        states = self.states(topics)
        return {(topic, each): end for topic, state in states.items() for each, end in state.ends.items()}

    def states(self, topics: Collection[str]) -> dict[str, TopicState]:
        """Id, start and end offsets of each topic."""
        answer = _answer(self._admin.describeTopics(self._jvm.java.util.ArrayList(list(topics))).allTopicNames())
        described = {topic: answer.get(topic) for topic in topics}
        keys = [(topic, each.partition()) for topic, about in described.items() for each in about.partitions()]
        starts, ends = self._offsets(keys, "earliest"), self._offsets(keys, "latest")
        return {
            topic: TopicState(
                str(about.topicId().toString()),
                {each: at for (name, each), at in starts.items() if name == topic},
                {each: at for (name, each), at in ends.items() if name == topic},
            )
            for topic, about in described.items()
        }

    def _offsets(self, keys: Collection[tuple[str, int]], which: str) -> Offsets:
        wanted = self._jvm.java.util.HashMap()
        spec = getattr(self._jvm.org.apache.kafka.clients.admin.OffsetSpec, which)()
        for key in keys:
            wanted.put(self._partition(*key), spec)
        found = _answer(self._admin.listOffsets(wanted).all())
        return {_named(partition): int(at.offset()) for partition, at in found.items()}

    def committed(self, group: str) -> Offsets:
        """The consumer group's committed offsets; empty where there is no group."""
        answer = _answer(self._admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata())
        return {_named(partition): at.offset() for partition, at in answer.items() if at is not None}

    def delete_before(self, offsets: Offsets) -> None:
        """Delete the records before these offsets."""
        kind = self._jvm.org.apache.kafka.clients.admin.RecordsToDelete
        # By name alone py4j would find the instance method of the same name.
        before_offset = JavaMember("beforeOffset", None, STATIC_PREFIX + kind._fqn, kind._gateway_client)
        asked = self._jvm.java.util.HashMap()
        for (topic, partition), offset in offsets.items():
            asked.put(self._partition(topic, partition), before_offset(offset))
        _answer(self._admin.deleteRecords(asked).all())

    def _partition(self, topic: str, partition: int) -> Any:
        return self._jvm.org.apache.kafka.common.TopicPartition(topic, partition)


@contextmanager
def connected_broker(lake: Lake, settings: Settings) -> Iterator[Broker]:
    """The broker of the settings. Raises UnavailableError where it is not reachable."""
    check_broker(settings.kafka.bootstrap_servers)
    jvm: Any = lake.spark.sparkContext._jvm
    given = jvm.java.util.Properties()
    for name, value in _OPTIONS.items() | {("bootstrap.servers", settings.kafka.bootstrap_servers)}:
        given.put(name, value)
    admin = jvm.org.apache.kafka.clients.admin.AdminClient.create(given)
    try:
        yield Broker(jvm, admin)
    finally:
        admin.close()


def says_unavailable(text: str) -> bool:
    """Whether an error of the Kafka client only means that the broker is not reachable (yet)."""
    return any(name in text for name in _UNAVAILABLE)


def check_broker(servers: str) -> None:
    """Fail fast if no broker is reachable: Spark would try for a minute.

    Raises UnavailableError.
    """
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
            return
        except (OSError, ValueError):
            continue
    raise UnavailableError(f"no Kafka broker is reachable at {servers}", "Start it with `headrace up`")


def _named(partition: Any) -> tuple[str, int]:
    return str(partition.topic()), int(partition.partition())


def _answer(future: Any) -> Any:
    try:
        return future.get()
    except Py4JJavaError as error:
        reason = str(error.java_exception.getMessage())
        if says_unavailable(reason):
            raise UnavailableError(
                f"the Kafka broker does not answer: {reason[:300]}", "Start it with `headrace up`"
            ) from None
        raise ServiceError(
            f"the Kafka broker refused the request: {reason[:300]}", "Check its log and this user's permissions"
        ) from None
