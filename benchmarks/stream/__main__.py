"""Stream: events per second from Kafka to users' rows in the store, ours against a per-event PyFlink job with `HSET`.

    python -m benchmarks.stream [--events 500000] [--rounds 1] [--latency-seconds 20]

Both read the same events from the same broker, one after the other, and both start from nothing. The rate is counted
from the first row to the last one; the time from starting the process is in the file beside it, and so are CPU seconds.
Then ours is warm and gets 1,000 and 10,000 events a second: event made → row written.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psutil
import redis
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from rich.console import Console
from rich.table import Table

from benchmarks.report import report
from headrace.features.online_store import live_key
from headrace.machine.ports import free_port
from headrace.settings import Settings
from headrace.settings.engines import FlinkSettings, KafkaSettings, StoreSettings
from infra.local.services import local_services
from tests.small_release import item_names, tiny_retrieval_bundle

USERS = 2_500
ITEMS = 1_000
GOAL = 5.0
LATENCY_GOAL_MS = 300.0
LATENCY_RATES = (1_000, 10_000)
WAIT_S = 1_800.0
CONSOLE = Console(stderr=True)


@dataclass
class Drain:
    """How one run of a job emptied the topic."""

    events: int
    from_first_row_s: float
    from_start_s: float
    cpu_s: float
    """CPU time of the job's processes, start-up included."""

    @property
    def rate(self) -> float:
        """Events per second from the first row to the last."""
        return self.events / self.from_first_row_s


def main() -> None:
    """Start broker and store, fill the topic, drain it by turns, measure the latency, report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--peer-events", type=int, default=50_000, help="fewer for the peer, which is slow")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--latency-seconds", type=float, default=20)
    arguments = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that whatever was started is ended too
    with tempfile.TemporaryDirectory(prefix="headrace-stream-") as folder:
        settings = _settings(Path(folder))
        release = str(tiny_retrieval_bundle(Path(folder) / "release", items=item_names(ITEMS)).folder)
        ours = ["jobs.streaming", "--release", release, "--from", "earliest"]
        peer = ["benchmarks.stream.peer", release]
        with local_services(settings, ("kafka", "valkey")):
            events, peer_events = arguments.events, arguments.peer_events
            drains: dict[str, list[Drain]] = {"ours": [], "peer": []}
            topics = {count: _fill(settings, f"drain-{count}", count) for count in {events, peer_events}}
            for _ in range(arguments.rounds):
                drains["ours"].append(_drain(topics[events], ours, events))
                drains["peer"].append(_drain(topics[peer_events], peer, peer_events))
                CONSOLE.print({name: runs[-1] for name, runs in drains.items()})
            latencies = _latencies(settings, ours, arguments.latency_seconds)
    _report(drains, latencies)


def _settings(home: Path) -> Settings:
    return Settings(
        home=home,
        kafka=KafkaSettings(bootstrap_servers=f"127.0.0.1:{free_port()}"),
        store=StoreSettings(url=f"redis://127.0.0.1:{free_port()}/0"),
        flink=FlinkSettings(),
    )


def _with_topic(settings: Settings, topic: str) -> Settings:
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    admin.create_topics([NewTopic(topic, settings.kafka.partitions, 1)])[topic].result()
    return settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"events_topic": topic})})


def _producer(settings: Settings) -> Producer:
    return Producer(
        {
            "bootstrap.servers": settings.kafka.bootstrap_servers,
            "compression.type": "zstd",
            "linger.ms": 2,
            "queue.buffering.max.messages": 1_000_000,
        }
    )


def _event(number: int, user: str, item: int, moment: datetime) -> bytes:
    fields = {
        "event_id": f"event-{number:09d}",
        "event_type": "purchase",
        "user_id": user,
        "item_id": f"item-{item}",
        "timestamp": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "value": 1.0,
        "price": 2.5,
        "context": {"surface": "homepage", "device": "phone"},
    }
    return json.dumps(fields, separators=(",", ":")).encode()


@dataclass(frozen=True)
class FullTopic:
    """A topic with events, and what tells that a job has taken the last one of every user."""

    settings: Settings
    newest: dict[str, int]
    """Time of each user's newest event, microseconds since 1970."""


def _fill(settings: Settings, topic: str, count: int) -> FullTopic:
    """A topic with `count` different events, five a second."""
    settings, generator = _with_topic(settings, topic), random.Random(7)
    producer, start, newest = _producer(settings), datetime(2026, 11, 1, tzinfo=UTC), {}
    for number in range(count):
        user, moment = f"user-{generator.randrange(USERS)}", start + timedelta(milliseconds=200 * number)
        newest[user] = int(moment.timestamp() * 1000) * 1000
        event = _event(number, user, generator.randrange(ITEMS), moment)
        producer.produce(topic, event, key=user)
        producer.poll(0)
    producer.flush()
    return FullTopic(settings, newest)


@contextmanager
def _job(settings: Settings, command: list[str]) -> Iterator[psutil.Process]:
    log = settings.home_folder / f"{command[0]}.out"
    with log.open("a") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", *command],
            env={**os.environ, **settings.as_environment(), "PYTHONPATH": os.pathsep.join(sys.path[1:])},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    process = psutil.Process(child.pid)
    try:
        yield process
    finally:
        family = process.children(recursive=True) if child.poll() is None else []
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(30)
        for each in family:
            with suppress(psutil.Error):
                each.kill()


def _drain(topic: FullTopic, command: list[str], events: int) -> Drain:
    """Start the job on an empty store and wait for the last event's row."""
    settings = topic.settings
    CONSOLE.print(f"{command[0]}: {events:,} events …")
    with redis.Redis.from_url(settings.store.url) as store:
        store.flushall()
        began = time.time()
        with _job(settings, command) as process:
            first = _wait(lambda: store.exists(*map(live_key, _users())) and time.time(), process, 0.05)
            last = _wait(lambda: _last_write(store, topic.newest), process, 1.0)
            cpu = sum(_cpu_seconds(each) for each in (process, *process.children(recursive=True)))
    return Drain(events, last - first, last - began, cpu)


def _users() -> list[str]:
    return [f"user-{number}" for number in range(USERS)]


def _last_write(store: redis.Redis, newest: dict[str, int]) -> float:
    """When the last row was written, seconds since 1970; 0 as long as a user's newest event is missing."""
    pipeline = store.pipeline(transaction=False)
    for user in newest:
        pipeline.hmget(live_key(user), "event_timestamp", "updated_at")
    rows = pipeline.execute()
    complete = all(int(row[0] or 0) == moment for row, moment in zip(rows, newest.values(), strict=True))
    return max(int(updated_at) for _, updated_at in rows) / 1e6 if complete else 0.0


def _wait(condition, process: psutil.Process, pause_s: float) -> float:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + WAIT_S
    while not (result := condition()):
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE or time.monotonic() > deadline:
            raise SystemExit("The job ended or took too long; see its output")
        time.sleep(pause_s)
    return float(result)


def _cpu_seconds(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        return sum(process.cpu_times()[:2])
    return 0.0


def _latencies(settings: Settings, command: list[str], seconds: float) -> dict[str, dict[str, float]]:
    """Milliseconds from making an event to writing its row, at each rate, with the job warm."""
    settings = _with_topic(settings, "latency")
    found = {}
    with redis.Redis.from_url(settings.store.url) as store:
        store.flushall()
        with _job(settings, command) as process:
            ready = settings.home_folder / "run" / "stream.ready"
            _wait(ready.exists, process, 0.2)
            _measure(settings, store, LATENCY_RATES[0], min(seconds, 10.0))  # the engine compiles while it runs
            for rate in LATENCY_RATES:
                found[str(rate)] = _measure(settings, store, rate, seconds)
                CONSOLE.print(f"{rate:,} events/s: {found[str(rate)]}")
    return found


def _measure(settings: Settings, store: redis.Redis, rate: int, seconds: float) -> dict[str, float]:
    """Each event's time is when it was made; the rows seen meanwhile tell when they were written."""
    seen: set[tuple[int, int]] = set()
    began = time.time()
    sender = threading.Thread(target=_send_steadily, args=(settings, rate, seconds))
    sender.start()
    while sender.is_alive():
        pipeline = store.pipeline(transaction=False)
        for user in _users():
            pipeline.hmget(live_key(user), "event_timestamp", "updated_at")
        seen |= {(int(made), int(written)) for made, written in pipeline.execute() if made is not None}
        time.sleep(0.2)
    sender.join()
    waits = np.array([(written - made) / 1000 for made, written in seen if made / 1e6 >= began + 1])
    p50, p99 = np.percentile(waits, [50, 99])
    return {"rows": len(waits), "p50_ms": round(float(p50), 1), "p99_ms": round(float(p99), 1)}


def _send_steadily(settings: Settings, rate: int, seconds: float) -> None:
    producer, generator = _producer(settings), random.Random(rate)
    began, base = time.time(), int(time.time() * 1000)
    sent = 0
    while (passed := time.time() - began) < seconds:
        for _ in range(int(passed * rate) - sent):
            user = f"user-{generator.randrange(USERS)}"
            event = _event(base + sent, user, generator.randrange(ITEMS), datetime.now(UTC))
            producer.produce(settings.kafka.events_topic, event, key=user)
            sent += 1
        producer.poll(0)
        time.sleep(0.002)
    producer.flush()


def _report(drains: dict[str, list[Drain]], latencies: dict[str, dict[str, float]]) -> None:
    rates = {name: statistics.median(run.rate for run in runs) for name, runs in drains.items()}
    whole = {name: statistics.median(run.events / run.from_start_s for run in runs) for name, runs in drains.items()}
    cpu = {name: statistics.median(1e6 * run.cpu_s / run.events for run in runs) for name, runs in drains.items()}
    table = Table("", "events/s from first row", "events/s from process start", "CPU µs per event")
    for name in drains:
        table.add_row(name, f"{rates[name]:,.0f}", f"{whole[name]:,.0f}", f"{cpu[name]:,.0f}")
    Console().print(table)
    ratio = rates["ours"] / rates["peer"]
    p99 = latencies[str(LATENCY_RATES[0])]["p99_ms"]
    report(
        name="stream",
        ours=round(rates["ours"]),
        peer=round(rates["peer"]),
        peer_name="per-event PyFlink KeyedProcessFunction + HSET",
        ratio=ratio,
        goal=f"≥ {GOAL:g} × events/s; event → row p99 ≤ {LATENCY_GOAL_MS:g} ms at {LATENCY_RATES[0]:,} events/s",
        met=ratio >= GOAL and p99 <= LATENCY_GOAL_MS,
        events={name: runs[0].events for name, runs in drains.items()},
        events_per_second_from_process_start={name: round(value) for name, value in whole.items()},
        cpu_us_per_event={name: round(value, 1) for name, value in cpu.items()},
        latency_ms_by_events_per_second=latencies,
    )


if __name__ == "__main__":
    main()
