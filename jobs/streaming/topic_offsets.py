"""End offsets of the events topic, and the stream's committed offsets."""

from __future__ import annotations

from contextlib import closing

from confluent_kafka import Consumer, KafkaException, TopicPartition

from headrace.machine.stream_state import CONSUMER_GROUP
from headrace.settings import Settings
from jobs.streaming.forgetting import Offsets

_TIMEOUT_S = 5.0


def topic_ends(settings: Settings) -> Offsets | None:
    """Offset of the next record by partition; None while the broker is not reachable."""
    try:
        with closing(_consumer(settings)) as consumer:
            partitions = _partitions(consumer, settings)
            ends = {each.partition: consumer.get_watermark_offsets(each, timeout=_TIMEOUT_S) for each in partitions}
    except KafkaException:
        return None
    return {partition: int(end[1]) for partition, end in ends.items()}


def committed_offsets(settings: Settings) -> Offsets | None:
    """What the stream committed with its last checkpoints, by partition; None while the broker is not reachable."""
    try:
        with closing(_consumer(settings)) as consumer:
            committed = consumer.committed(_partitions(consumer, settings), timeout=_TIMEOUT_S)
    except KafkaException:
        return None
    return {each.partition: int(each.offset) for each in committed if each.offset >= 0}


def _consumer(settings: Settings) -> Consumer:
    """Reads the group's offsets without joining the group."""
    servers = settings.kafka.bootstrap_servers
    return Consumer({"bootstrap.servers": servers, "group.id": CONSUMER_GROUP, "enable.auto.commit": False})


def _partitions(consumer: Consumer, settings: Settings) -> list[TopicPartition]:
    topic = settings.kafka.events_topic
    metadata = consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
    return [TopicPartition(topic, partition) for partition in metadata.partitions]
