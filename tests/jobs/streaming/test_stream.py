"""The real job between a real broker and a real store: ended by SIGKILL in mid-replay, started again, nothing lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pytest
import redis
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from headrace.events import Event, EventType
from headrace.features import rows as feature_rows
from headrace.features.online_store import LIVE_FIELDS, LiveRow, decode_live_row, live_key
from headrace.features.user_row import HistoryEvent, merge_history
from headrace.forgotten import FORGOTTEN_KEY, subject_hash
from headrace.machine.stream_state import CONSUMER_GROUP
from headrace.release.bundle import Release
from headrace.settings import Settings
from headrace.tables import GOLD_USER_FEATURES
from jobs.batch.keeping.forget_state import found_in_checkpoints
from jobs.streaming.topic_offsets import committed_offsets
from tests.jobs.streaming.streams import EPOCH, START

USERS = 40
LENGTH = 50
WAIT_S = 120.0
FIRST, SECOND = 3_000, 3_000
"""Events before and around the SIGKILL."""

REFUSED: list[dict[str, object]] = [
    {"event_id": "b1", "event_type": "rating", "timestamp": "2026-11-20T00:00:00Z", "value": 99},
    {"event_id": "b2", "event_type": "view", "timestamp": "2999-01-01T00:00:00Z"},
    {"event_id": "b3", "event_type": "view", "timestamp": "2026-11-20T00:00:00Z", "price": "free"},
    {"event_id": "b4", "event_type": "stare", "timestamp": "2026-11-20T00:00:00Z"},
    {"event_id": "b5", "event_type": "view"},
    {"event_id": " ", "event_type": "view", "timestamp": "2026-11-20T00:00:00Z"},
    {"event_id": "b6", "event_type": "view", "timestamp": "2026-11-20T00:00:00Z", "item_id": True},
    {"event_id": "b7", "event_type": "view", "timestamp": "2026-11-20T00:00:00Z", "note": "\ud83d"},
]
"""What the event contract refuses; later than all good events, so that one taken in would be seen."""


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + WAIT_S
    while not (result := condition()):
        assert time.monotonic() < deadline, f"waited {WAIT_S:.0f} s for {what}"
        time.sleep(0.1)
    return result


def purchase(number: int, generator: random.Random) -> Event:
    """Event times are out of order by up to ten minutes, as they are in life."""
    moment = START + timedelta(seconds=number * 10 + generator.randrange(600))
    return Event(
        event_id=f"e{number}",
        event_type=generator.choice([EventType.PURCHASE, EventType.VIEW, EventType.IMPRESSION]),
        user_id=f"user-{generator.randrange(USERS)}",
        item_id=f"item-{generator.randrange(25)}",  # some are not in the release
        timestamp=moment,
        value=1.0,
    )


def history_event(each: Event) -> HistoryEvent:
    microseconds = (each.timestamp - EPOCH) // timedelta(microseconds=1)
    return HistoryEvent(microseconds, each.event_id, str(each.item_id), str(each.event_type))


class Stream:
    """The job as a child process, and what the test needs around it."""

    def __init__(self, settings: Settings, release: Release) -> None:
        self.settings = settings
        self._command = [sys.executable, "-m", "jobs.streaming", "--release", str(release.folder)]
        self._producer = Producer({"bootstrap.servers": settings.kafka.bootstrap_servers, "compression.type": "zstd"})
        self._child: subprocess.Popen[str] | None = None
        self.output = settings.home_folder / "stream.out"

    def start(self) -> None:
        with self.output.open("a") as output:
            self._child = subprocess.Popen(
                self._command,
                env={**os.environ, **self.settings.as_environment()},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def end(self, number: signal.Signals) -> int:
        """Send the signal to the job and wait until none of its processes is left; its exit code."""
        assert self._child is not None
        family = [psutil.Process(self._child.pid), *psutil.Process(self._child.pid).children(recursive=True)]
        os.kill(self._child.pid, number)
        code = self._child.wait(WAIT_S)
        _, alive = psutil.wait_procs(family[1:], timeout=30)
        assert not alive, f"left behind: {alive}"
        self._child = None
        return code

    def send(self, events: list[Event]) -> None:
        for each in events:
            self._producer.produce(self.settings.kafka.events_topic, each.to_json(), key=each.subject_id)
        self._producer.flush()

    def send_raw(self, raw: bytes) -> None:
        self._producer.produce(self.settings.kafka.events_topic, raw)
        self._producer.flush()

    def cut_topic_where_committed(self) -> int:
        """Let the topic begin where the job has come, as `headrace forget` does at most; the number of records gone."""
        servers = {"bootstrap.servers": self.settings.kafka.bootstrap_servers}
        partitions = [TopicPartition(self.settings.kafka.events_topic, number) for number in range(2)]
        consumer = Consumer({**servers, "group.id": CONSUMER_GROUP})
        committed = [place for place in consumer.committed(partitions, timeout=10) if place.offset > 0]
        consumer.close()
        admin = AdminClient(servers)
        for cut in admin.delete_records(committed).values():
            cut.result()
        return sum(place.offset for place in committed)

    def close(self) -> None:
        if self._child is not None and self._child.poll() is None:
            self.end(signal.SIGKILL)


@pytest.fixture
def stream(services: Settings, small_release: Release, tmp_path: Path):  # type: ignore[no-untyped-def]
    topic = "stream-test"
    settings = services.model_copy(
        update={
            "home": tmp_path,
            "kafka": services.kafka.model_copy(update={"events_topic": topic}),
            "flink": services.flink.model_copy(update={"checkpoint_interval_ms": 500, "carried_seconds": 3600}),
        }
    )
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result()
    each = Stream(settings, small_release)
    yield each
    each.close()
    admin.delete_topics([topic])[topic].result()


def put_batch_row(store: Any, user: str, history: list[HistoryEvent]) -> None:
    """The row as `materialise` leaves it."""
    schema: pa.Schema = GOLD_USER_FEATURES.schema
    names = feature_rows.feature_names(schema)
    kinds = {name: feature_rows.value_kind(schema.field(name).type) for name in names}
    values = {
        "history_event_ids": [each.event_id for each in history],
        "history_items": [each.item_id for each in history],
        "history_types": [each.event_type for each in history],
        "history_timestamps": [each.timestamp for each in history],
    }
    row = feature_rows.encode_row(feature_rows.USER_VIEW, kinds, values, datetime(2026, 11, 1, tzinfo=UTC))
    store.hset(feature_rows.row_key(feature_rows.USER_KEY, user), mapping=row)


def test_a_job_killed_in_mid_replay_ends_with_the_rows_of_an_undisturbed_run(stream: Stream, tower) -> None:  # type: ignore[no-untyped-def]
    generator = random.Random(5)
    events = [purchase(number, generator) for number in range(FIRST + SECOND)]
    batch = [
        HistoryEvent(history_event(events[0]).timestamp - 10**6 * n, f"old{n}", "item-1", "purchase") for n in (2, 1)
    ]
    with redis.Redis.from_url(stream.settings.store.url) as store:
        put_batch_row(store, "user-0", batch)
        put_batch_row(store, "newcomer", batch)

        def row(user: str) -> LiveRow | None:
            return decode_live_row(store.hmget(live_key(user), LIVE_FIELDS))

        def has(user: str, history: list[HistoryEvent]) -> bool:
            live = row(user)
            return live is not None and live.history == history

        def counted() -> int:
            return sum(live.count for number in range(USERS) if (live := row(f"user-{number}")))

        stream.send(events[:FIRST])
        stream.send_raw(b'{"event_id": "broken", ')
        for refused in REFUSED:
            stream.send_raw(json.dumps({"user_id": "user-1", "item_id": "item-1", **refused}).encode())
        stream.start()
        ready = stream.settings.home_folder / "run" / "stream.ready"
        wait_for(ready.exists, "the job to be ready")
        wait_for(lambda: any((committed_offsets(stream.settings) or {}).values()), "a checkpoint with events in it")
        reached = counted()
        stream.send(events[FIRST:])
        wait_for(lambda: counted() > reached, "the first events after the checkpoint")
        assert stream.end(signal.SIGKILL) == -signal.SIGKILL
        assert stream.cut_topic_where_committed() > 0

        stream.send(events[-100:])  # a producer that repeats itself
        visit = Event(event_id="n1", event_type=EventType.CLICK, session_id="s", item_id="item-3", timestamp=START)
        newcomer = visit.model_copy(update={"event_id": "n2", "user_id": "newcomer", "session_id": None})
        stream.send([visit, newcomer])
        stream.start()
        wait_for(lambda: row("session:s") and row("newcomer"), "the last event")
        expected = {
            f"user-{number}": merge_history(
                batch if number == 0 else [],
                [history_event(each) for each in events if each.user_id == f"user-{number}"],
                LENGTH,
            )
            for number in range(USERS)
        }
        expected |= {"session:s": [history_event(visit)]}
        expected |= {"newcomer": merge_history(batch, [history_event(newcomer)], LENGTH)}
        for user, history in expected.items():
            wait_for(lambda user=user, history=history: has(user, history), f"{user}'s row")
            live = row(user)
            assert live is not None
            assert live.release == tower.release_id
            assert np.allclose(live.vector, tower.tower.vectors([history], [{}])[0], atol=1e-6)
        assert store.exists(live_key("user-1"))

        # Somebody asks to be forgotten: the state that names them goes, and what comes next is taken as ever.
        wait_for(lambda: found_in_checkpoints(stream.settings, ["user-1"]), "a checkpoint with them")
        store.hset(FORGOTTEN_KEY, subject_hash("user-1"), 0)  # of so long ago that no event counts as of before
        wait_for(lambda: not found_in_checkpoints(stream.settings, ["user-1"]), "the end of the state")
        later = newcomer.model_copy(update={"event_id": "n3", "timestamp": START + timedelta(seconds=1)})
        stream.send([later])
        both = merge_history(expected["newcomer"], [history_event(later)], LENGTH)
        wait_for(lambda: has("newcomer", both), "the event after it")
        assert found_in_checkpoints(stream.settings, ["user-1"]) == {}
        store.delete(FORGOTTEN_KEY)
        assert stream.end(signal.SIGTERM) == 0
    output = stream.output.read_text()
    assert output.count("from the committed offsets") == 3
    assert "restarting without Flink's state" in output
    assert "Traceback" not in output
    assert not ready.exists()
