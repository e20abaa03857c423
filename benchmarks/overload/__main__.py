"""Overload: what the service answers to 1, 8, 64 and 1,000 connections that ask without a pause.

    python -m benchmarks.overload [--items 100000] [--users 2000] [--seconds 10] [--connections 1 8 64 1000]
    python -m benchmarks.overload --port 8080 --users-from ids.txt      # a service that runs already, say the demo's

In each round a body of 500 events (900 kB) is posted every second, and in its middle another release goes live. What
counts is how many personal answers a second are left at the most connections of those at 8, and that nobody is told the
online store is away or slow while it answers somebody else, who asks every 10 ms, in time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis
from rich.console import Console
from rich.table import Table

from benchmarks.report import report
from benchmarks.serving.__main__ import fill, running
from benchmarks.serving.data import make_release
from headrace.machine.ports import free_port
from headrace.settings import Settings
from headrace.settings.engines import KafkaSettings, ServingSettings, StoreSettings
from infra.local.services import local_services

GOAL = 0.7
BASE = 8
PERSONAL = ("full", "fewer_candidates")
CONSOLE = Console(stderr=True)


def main() -> None:
    """Start everything, load it with more and more connections, report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, BASE, 64, 1000])
    parser.add_argument("--port", type=int, help="of a service that runs already; nothing is swapped")
    parser.add_argument("--users-from", type=Path, help="text file with its users, one id a line")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-overload-") as folder:
        home = Path(folder)
        if arguments.port:
            rounds = _rounds(arguments, arguments.port, arguments.users_from, _body(home), swap=None)
        else:
            rounds = _on_generated_data(arguments, home)
    _show(rounds)
    _report(rounds, arguments)


def _on_generated_data(arguments: argparse.Namespace, home: Path) -> list[dict[str, Any]]:
    CONSOLE.print(f"Making two releases of {arguments.items:,} items …")
    releases = [make_release(home / f"release-{seed}", arguments.items, seed) for seed in (7, 8)]
    live = home / "live"
    live.symlink_to(releases[0].folder)
    users = home / "users.txt"
    users.write_text("\n".join(f"u{number}" for number in range(arguments.users)), encoding="utf-8")
    settings = Settings(
        home=home,
        kafka=KafkaSettings(bootstrap_servers=f"127.0.0.1:{free_port()}"),
        store=StoreSettings(url=f"redis://127.0.0.1:{free_port()}/0"),
        serving=ServingSettings(port=free_port(), release=str(live), watch_seconds=0.5),
    )
    turn = [1]

    def swap() -> None:
        other = home / "other"
        other.symlink_to(releases[turn[0]].folder)
        other.replace(live)
        turn[0] = 1 - turn[0]

    with local_services(settings, ("kafka", "valkey")):
        CONSOLE.print("Filling the online store …")
        fill(settings, releases[0], arguments.users, arguments.items)
        command = [sys.executable, "-m", "serving"]
        environment = {**os.environ, **settings.as_environment()}
        with running("service", command, environment, settings.serving.port, "/readyz"):
            return _rounds(arguments, settings.serving.port, users, _body(home), swap, settings.store.url)


def _rounds(
    arguments: argparse.Namespace, port: int, users: Path, post: Path, swap: Any, store: str = ""
) -> list[dict[str, Any]]:
    _load(port, BASE, 3, users, None)
    found = []
    for connections in arguments.connections:
        CONSOLE.print(f"{connections:,} connections for {arguments.seconds:g} s …")
        timer = threading.Timer(arguments.seconds / 2, swap) if swap else None
        if timer:
            timer.start()
        with _slowest_ping(store) as slowest:
            found.append(_load(port, connections, arguments.seconds, users, post))
        found[-1]["store_slowest_ms"] = round(max(slowest, default=0.0), 1)
        if timer:
            timer.join()
    return found


@contextlib.contextmanager
def _slowest_ping(store: str) -> Iterator[list[float]]:
    """Milliseconds in which the store answers somebody else meanwhile, every 10 ms: whether it was slow itself."""
    found: list[float] = []
    over = threading.Event()

    def ping() -> None:
        with redis.Redis.from_url(store) as client:
            while not over.wait(0.01):
                start = time.perf_counter()
                client.ping()
                found.append(1000 * (time.perf_counter() - start))

    thread = threading.Thread(target=ping)
    if store:
        thread.start()
    yield found
    over.set()
    if store:
        thread.join()


def _load(port: int, connections: int, seconds: float, users: Path, post: Path | None) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.overload.load", str(port), "--connections", str(connections)]
    command += ["--seconds", str(seconds), "--users-from", str(users), *(["--post", str(post)] if post else [])]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return found


def _body(home: Path) -> Path:
    """500 events of 1,800 bytes each."""
    now = datetime.now(UTC).isoformat()
    events = [
        {
            "event_id": f"overload-{number}",
            "event_type": "view",
            "user_id": f"poster{number}",
            "item_id": f"i{number}",
            "timestamp": now,
            "context": {"note": "x" * 1650},
        }
        for number in range(500)
    ]
    file = home / "events.json"
    file.write_text(json.dumps(events), encoding="utf-8")
    return file


def _personal(found: dict[str, Any]) -> float:
    """Personal answers a second."""
    return sum(found["tiers"].get(tier, {"per_second": 0.0})["per_second"] for tier in PERSONAL)


def _false_alarms(found: dict[str, Any]) -> int:
    """Answers that blame the store, in a round in which it answered somebody else in time all along."""
    if found["store_slowest_ms"] >= StoreSettings().timeout_ms:
        return 0
    return sum(count for text, count in found["fallbacks"].items() if "online" in text)


def _show(rounds: Sequence[dict[str, Any]]) -> None:
    table = Table(
        "connections", "personal /s", "share", "answers /s", "p50 ms", "p99 ms", "by tier /s (p99 ms)", "alarms"
    )
    for found in rounds:
        everything = found["all"]
        tiers = ", ".join(f"{name} {of['per_second']:g} ({of['p99_ms']:g})" for name, of in found["tiers"].items())
        table.add_row(
            f"{found['connections']:,}",
            f"{_personal(found):.1f}",
            f"{_personal(found) / max(everything['per_second'], 0.1):.0%}",
            f"{everything['per_second']:.1f}",
            f"{everything['p50_ms']:.1f}",
            f"{everything['p99_ms']:.1f}",
            tiers,
            str(_false_alarms(found)),
        )
    CONSOLE.print(table)
    for found in rounds:
        CONSOLE.print(
            found["connections"], found["posts"], found["fallbacks"], f"ping ≤ {found['store_slowest_ms']} ms"
        )


def _report(rounds: Sequence[dict[str, Any]], arguments: argparse.Namespace) -> None:
    by_connections = {found["connections"]: _personal(found) for found in rounds}
    most = by_connections[max(by_connections)]
    few = by_connections.get(BASE, by_connections[min(by_connections)])
    alarms = sum(map(_false_alarms, rounds))
    ratio = most / max(few, 0.1)
    report(
        name="overload",
        ours=most,
        peer=few,
        peer_name=f"the same service at {BASE} connections",
        ratio=ratio,
        goal=f">= {GOAL:g} x personal answers per second, nobody told that the store is away",
        met=ratio >= GOAL and alarms == 0,
        false_alarms=alarms,
        rounds=list(rounds),
        items=arguments.items,
        seconds=arguments.seconds,
    )


if __name__ == "__main__":
    main()
