"""Where the events topic ends, and how far the broker knows the stream to have come."""

from __future__ import annotations

from contextlib import closing

from confluent_kafka import Consumer, KafkaException, TopicPartition

from headrace.machine.stream_state import CONSUMER_GROUP
from headrace.settings import Settings
from jobs.streaming.forgetting import Offsets

_TIMEOUT_S = 5.0


def topic_ends(settings: Settings) -> Offsets | None:
    """Offset of the next record by partition; None while the broker does not answer."""
    try:
        with closing(_consumer(settings)) as consumer:
            places = _places(consumer, settings)
            ends = {place.partition: consumer.get_watermark_offsets(place, timeout=_TIMEOUT_S) for place in places}
    except KafkaException:
        return None
    return {partition: int(end[1]) for partition, end in ends.items()}


def committed_offsets(settings: Settings) -> Offsets | None:
    """What the stream committed with its last checkpoints, by partition; None while the broker does not answer."""
    try:
        with closing(_consumer(settings)) as consumer:
            committed = consumer.committed(_places(consumer, settings), timeout=_TIMEOUT_S)
    except KafkaException:
        return None
    return {place.partition: int(place.offset) for place in committed if place.offset >= 0}


def _consumer(settings: Settings) -> Consumer:
    """It asks for the group's offsets without becoming a member."""
    servers = settings.kafka.bootstrap_servers
    return Consumer({"bootstrap.servers": servers, "group.id": CONSUMER_GROUP, "enable.auto.commit": False})


def _places(consumer: Consumer, settings: Settings) -> list[TopicPartition]:
    topic = settings.kafka.events_topic
    known = consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
    return [TopicPartition(topic, partition) for partition in known.partitions]
