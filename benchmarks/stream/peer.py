"""The peer of `benchmarks.stream`, a per-event PyFlink job: same history and tower, one `HSET` an event.

python -m benchmarks.stream.peer RELEASE_FOLDER
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis
from pyflink.common import Types, WatermarkStrategy
from pyflink.common.serialization import SimpleStringSchema
from pyflink.datastream import KeyedProcessFunction, RuntimeContext, StreamExecutionEnvironment
from pyflink.datastream.connectors.kafka import KafkaOffsetsInitializer, KafkaSource
from pyflink.datastream.state import ValueStateDescriptor

from headrace.events import INTEREST_TYPES, parse_timestamp
from headrace.features.online_store import live_key
from headrace.features.user_row import HistoryEvent
from headrace.settings import Settings, load_settings
from jobs.streaming.configuration import flink_configuration, prepare_java
from jobs.streaming.release_watch import load_tower

GROUP = "headrace-stream-peer"


class WriteUser(KeyedProcessFunction):
    """Adds each event to its user's history, computes the vector and writes the row."""

    def __init__(self, settings: Settings, release: str) -> None:
        self._settings_json = settings.model_dump_json()
        self._release = release

    def open(self, runtime_context: RuntimeContext) -> None:
        """Load the tower and connect."""
        settings = Settings(**json.loads(self._settings_json))
        self._length = settings.features.history_length
        self._history = runtime_context.get_state(ValueStateDescriptor("history", Types.PICKLED_BYTE_ARRAY()))
        self._count = runtime_context.get_state(ValueStateDescriptor("count", Types.LONG()))
        self._tower = load_tower(Path(self._release))
        self._store = redis.Redis.from_url(settings.store.url)

    def process_element(self, value: Any, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:  # noqa: ARG002
        """One event."""
        event = json.loads(value)
        moment = parse_timestamp(event["timestamp"])
        if event["event_type"] not in INTEREST_TYPES or moment is None:
            return
        time_us = round(moment.timestamp() * 1_000_000)
        history = self._history.value() or []
        if any(event_id == event["event_id"] for _, event_id, _, _ in history):
            return
        history.append((time_us, event["event_id"], event["item_id"], event["event_type"]))
        history = sorted(history)[-self._length :]
        self._history.update(history)
        count = (self._count.value() or 0) + 1
        self._count.update(count)
        vector = self._tower.tower.vectors([[HistoryEvent(*each) for each in history]], [{}])[0]
        self._store.hset(
            live_key(event["user_id"]),
            mapping={
                "release": self._tower.release_id,
                "vector": vector.tobytes(),
                "history": json.dumps(history, separators=(",", ":")),
                "event_timestamp": history[-1][0],
                "count": count,
                "updated_at": int(time.time() * 1_000_000),
            },
        )
        yield count


def main() -> None:
    """Run until ended."""
    settings, release = load_settings(), sys.argv[1]
    prepare_java(settings)
    options = flink_configuration(settings)
    options.set_string("python.execution-mode", "thread")  # for per-event functions the faster one
    options.set_string("restart-strategy.type", "none")  # a benchmark that fails should say so
    environment = StreamExecutionEnvironment.get_execution_environment(options)
    source = (
        KafkaSource.builder()
        .set_bootstrap_servers(settings.kafka.bootstrap_servers)
        .set_topics(settings.kafka.events_topic)
        .set_group_id(GROUP)
        .set_starting_offsets(KafkaOffsetsInitializer.earliest())
        .set_value_only_deserializer(SimpleStringSchema())
        .build()
    )
    (
        environment.from_source(source, WatermarkStrategy.no_watermarks(), "events")
        .key_by(lambda text: json.loads(text)["user_id"], key_type=Types.STRING())
        .process(WriteUser(settings, release), output_type=Types.LONG())
        .filter(lambda count: count < 0)
        .print()
    )
    environment.execute("headrace-stream-peer")


if __name__ == "__main__":
    main()
