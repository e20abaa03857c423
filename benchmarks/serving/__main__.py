"""Serving: 500 candidates found and ranked per request, ours against FastAPI + uvicorn + Feast SDK + SavedModel.

    python -m benchmarks.serving [--items 100000] [--users 2000] [--seconds 8] [--rounds 3]

Both run at the same time over one release and one Valkey, and are loaded in turns by a process of its own. What counts
is requests per second of CPU time of the server (its whole process tree): with other load on the machine, that is what
a core gives.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import redis
from rich.console import Console
from rich.table import Table

from benchmarks.report import report
from benchmarks.serving.data import AS_OF, ITEM_SCHEMA, USER_SCHEMA, item_rows, make_release, user_rows
from headrace.features import rows as feature_rows
from headrace.machine.ports import free_port
from headrace.settings import Settings
from headrace.settings.engines import ServingSettings, StoreSettings
from infra.local.services import local_services

GOAL = 10.0
PEER = "FastAPI + uvicorn + Feast SDK + SavedModel"
CONSOLE = Console(stderr=True)


@dataclass
class Server:
    """A running service and what was measured of it."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    per_core: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)

    def cpu_seconds(self) -> float:
        """CPU time of the process and its children so far."""
        family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        return sum(sum(one.cpu_times()[:2]) for one in family)

    def measure(self, connections: int, seconds: float, users: int) -> None:
        """One round of load."""
        before = self.cpu_seconds()
        found = _load(self.port, connections, seconds, users)
        cpu = self.cpu_seconds() - before
        self.per_core.append(found["requests"] / cpu)
        self.rates.append(found["requests"] / found["seconds"])
        self.p50.append(found["p50_ms"])
        self.p99.append(found["p99_ms"])

    def medians(self) -> dict[str, float]:
        """The middle of the rounds."""
        return {
            "requests_per_cpu_second": round(statistics.median(self.per_core), 1),
            "requests_per_second": round(statistics.median(self.rates), 1),
            "p50_ms": round(statistics.median(self.p50), 2),
            "p99_ms": round(statistics.median(self.p99), 2),
        }


def main() -> None:
    """Make the release and the rows, start both services, load them in turns, report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=4)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-serving-") as folder:
        home = Path(folder)
        CONSOLE.print(f"Making a release of {arguments.items:,} items …")
        release = make_release(home / "release", arguments.items)
        settings = _settings(home, release.folder)
        with local_services(settings, ("valkey",)):
            CONSOLE.print("Filling the online store …")
            fill(settings, release, arguments.users, arguments.items)
            with _ours(settings) as ours, _peer(settings, release.folder) as peer:
                CONSOLE.print(
                    f"{arguments.rounds} rounds of {arguments.seconds:g} s each, {arguments.connections} connections …"
                )
                for server in (ours, peer):
                    _load(server.port, arguments.connections, 2, arguments.users)
                for _ in range(arguments.rounds):
                    for server in (ours, peer):
                        server.measure(arguments.connections, arguments.seconds, arguments.users)
                alone = _load(ours.port, 1, arguments.seconds, arguments.users)
                answer = _checked_answer(ours.port)
    _show(ours, peer)
    mine, theirs = ours.medians(), peer.medians()
    ratio = mine["requests_per_cpu_second"] / theirs["requests_per_cpu_second"]
    report(
        name="serving",
        ours=mine["requests_per_cpu_second"],
        peer=theirs["requests_per_cpu_second"],
        peer_name=PEER,
        ratio=ratio,
        goal=f">= {GOAL:g} x requests per second per core",
        met=ratio >= GOAL,
        ours_details=mine,
        peer_details=theirs,
        ours_one_connection=alone,
        items=arguments.items,
        candidates=answer["candidates_generated"],
        connections=arguments.connections,
        rounds=arguments.rounds,
    )


def _settings(home: Path, release: Path) -> Settings:
    return Settings(
        home=home,
        store=StoreSettings(url=f"redis://127.0.0.1:{free_port()}/0", timeout_ms=1000),
        serving=ServingSettings(port=free_port(), release=str(release), log_impressions=False),
    )


def fill(settings: Settings, release: Any, users: int, items: int) -> None:
    client: Any = redis.Redis.from_url(settings.store.url)
    random = np.random.default_rng(3)
    for view, key, schema, rows in (
        (feature_rows.USER_VIEW, feature_rows.USER_KEY, USER_SCHEMA, user_rows(random, users, items)),
        (feature_rows.ITEM_VIEW, feature_rows.ITEM_KEY, ITEM_SCHEMA, item_rows(release)),
    ):
        names = feature_rows.feature_names(schema)
        kinds = {name: feature_rows.value_kind(schema.field(name).type) for name in names}
        pipeline = client.pipeline(transaction=False)
        for count, (entity, values) in enumerate(rows, start=1):
            row = feature_rows.encode_row(view, kinds, values, AS_OF)
            pipeline.hset(feature_rows.row_key(key, entity), mapping=row)
            if count % 2000 == 0:
                pipeline.execute()
        pipeline.execute()
    client.close()


@contextlib.contextmanager
def _ours(settings: Settings) -> Iterator[Server]:
    command = [sys.executable, "-m", "serving"]
    with running(
        "ours", command, {**os.environ, **settings.as_environment()}, settings.serving.port, "/readyz"
    ) as server:
        yield server


@contextlib.contextmanager
def _peer(settings: Settings, release: Path) -> Iterator[Server]:
    port = free_port()
    address = settings.store.url.removeprefix("redis://").partition("/")[0]
    command = [sys.executable, "-m", "benchmarks.serving.peer", str(release), address, str(port)]
    with running("peer", command, dict(os.environ), port, "/recommendations?user_id=u1") as server:
        yield server


@contextlib.contextmanager
def running(name: str, command: list[str], environment: dict[str, str], port: int, ready: str) -> Iterator[Server]:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 180
        while not _answers(f"http://127.0.0.1:{port}{ready}"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not start: {' '.join(command)}")
            time.sleep(0.2)
        yield Server(name, port, process)
    finally:
        process.terminate()
        process.wait(20)


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url, timeout=30).status_code == 200
    return False


def _checked_answer(port: int) -> dict[str, Any]:
    """One of our answers, if it is a real one and all before it were: a popular list would be cheaper."""
    answer: dict[str, Any] = httpx.get(f"http://127.0.0.1:{port}/recommendations?user_id=u1").json()
    counts = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    if answer["fallback"] or "headrace_fallbacks_total{" in counts or answer["candidates_generated"] < 500:
        raise RuntimeError("some answers were fallbacks: nothing was measured")
    return answer


def _load(port: int, connections: int, seconds: float, users: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.serving.load", str(port), "--connections", str(connections)]
    command += ["--seconds", str(seconds), "--users", str(users)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def _show(*servers: Server) -> None:
    table = Table("", "requests/s per core", "requests/s", "p50 ms", "p99 ms")
    for server in servers:
        table.add_row(server.name, *(f"{value:,.2f}" for value in server.medians().values()))
    CONSOLE.print(table)


if __name__ == "__main__":
    main()
