"""Closed-loop load that tells answers apart: by tier, by fallback, by status.

    python -m benchmarks.overload.load PORT --connections 1000 --seconds 10 --users-from FILE [--post FILE]

Each connection asks again as soon as it has its answer. With `--post`, one more sends the file to `POST /events` each
second. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import selectors
import socket
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_TIER = re.compile(rb'"tier":"(\w+)"')
_FALLBACK = re.compile(rb'"fallback":"([^"]*)"')


@dataclass
class Connection:
    """One keep-alive connection."""

    socket: socket.socket
    sent_at: float = 0.0
    received: bytearray = field(default_factory=bytearray)
    to_send: memoryview = field(default_factory=lambda: memoryview(b""))

    def send(self, request: bytes) -> None:
        """Begin to send; what the socket does not take yet stays in `to_send`."""
        self.received.clear()
        self.sent_at = perf_counter()
        self.to_send = memoryview(request)
        self.go_on()

    def go_on(self) -> None:
        """Send as much as the socket takes."""
        try:
            self.to_send = self.to_send[self.socket.send(self.to_send) :]
        except BlockingIOError:
            return

    def answer(self) -> tuple[int, bytes] | None:
        """Status and body, once all of it has come. Raises RuntimeError if the server hangs up."""
        chunk = self.socket.recv(65_536)
        if not chunk:
            raise RuntimeError("the server closed a connection")
        self.received += chunk
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return None
        length = _LENGTH.search(self.received, 0, end)
        if length is None or len(self.received) < end + 4 + int(length[1]):
            return None
        return int(self.received[9:12]), bytes(self.received[end + 4 :])


@dataclass
class Counts:
    """What came back."""

    tiers: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Seconds of each answer; of a status other than 200 under the status."""
    fallbacks: Counter[str] = field(default_factory=Counter)

    def add(self, seconds: float, status: int, body: bytes) -> None:
        """One answer to a request."""
        if status != 200:
            self.tiers[str(status)].append(seconds)
            return
        tier, fallback = _TIER.search(body), _FALLBACK.search(body)
        self.tiers[tier[1].decode() if tier else "untold"].append(seconds)
        if fallback:
            self.fallbacks[fallback[1].decode()] += 1

    def summary(self, seconds: float) -> dict[str, Any]:
        """Rates and times of all and of each tier."""
        everything = [one for of_tier in self.tiers.values() for one in of_tier]
        return {
            "seconds": round(seconds, 2),
            "all": _rate(everything, seconds),
            "tiers": {tier: _rate(found, seconds) for tier, found in sorted(self.tiers.items())},
            "fallbacks": dict(self.fallbacks),
        }


def _rate(found: list[float], seconds: float) -> dict[str, float]:
    p50, p99 = np.percentile(np.array(found) * 1000, [50, 99]) if found else (float("nan"),) * 2
    return {"per_second": round(len(found) / seconds, 1), "p50_ms": round(p50, 1), "p99_ms": round(p99, 1)}


def load(port: int, connections: int, seconds: float, users: list[str], post: bytes | None) -> dict[str, Any]:
    """Keep `connections` requests under way for `seconds`."""
    choose = random.Random(1)
    counts, posts = Counts(), Counter[str]()
    post_request = b"" if post is None else _post(post)
    with selectors.DefaultSelector() as selector:
        asking = [_connected(port, selector) for _ in range(connections)]
        poster = _connected(port, selector) if post is not None else None
        start = perf_counter()
        next_post, is_posting = start + 0.5, False
        for one in asking:
            one.send(_get(choose.choice(users)))
        while (now := perf_counter()) - start < seconds:
            if poster is not None and now > next_post and not is_posting:
                next_post, is_posting = max(next_post + 1, now), True
                poster.send(post_request)
            if poster is not None and poster.to_send:
                poster.go_on()
            for key, _ in selector.select(timeout=0.01 if is_posting else 0.2):
                one = key.data
                if (answer := one.answer()) is None:
                    continue
                if one is poster:
                    posts[str(answer[0])] += 1
                    is_posting = False
                    continue
                counts.add(perf_counter() - one.sent_at, *answer)
                one.send(_get(choose.choice(users)))
        for one in [*asking, *([poster] if poster else [])]:
            one.socket.close()
    return {"connections": connections, **counts.summary(now - start), "posts": dict(posts)}


def _connected(port: int, selector: selectors.BaseSelector) -> Connection:
    made = Connection(socket.create_connection(("127.0.0.1", port)))
    made.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.socket.setblocking(False)
    selector.register(made.socket, selectors.EVENT_READ, made)
    return made


def _get(user: str) -> bytes:
    return f"GET /recommendations?user_id={user}&context=homepage&limit=20 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def _post(body: bytes) -> bytes:
    head = f"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def main() -> None:
    """Load one server and print what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--users-from", type=Path, required=True, help="text file, one user id a line")
    parser.add_argument("--post", type=Path, help="JSON file to post each second")
    arguments = parser.parse_args()
    users = arguments.users_from.read_text(encoding="utf-8").split()
    post = arguments.post.read_bytes() if arguments.post else None
    print(json.dumps(load(arguments.port, arguments.connections, arguments.seconds, users, post)))


if __name__ == "__main__":
    main()
