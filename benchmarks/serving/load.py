"""Closed-loop load over keep-alive sockets: light enough that the server, not the client, is what is measured.

    python -m benchmarks.serving.load PORT --connections 4 --seconds 8 --users 2000

prints one JSON object: `requests`, `seconds`, `p50_ms`, `p99_ms`.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import selectors
import socket
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass
class Connection:
    """One client that asks again as soon as it has its answer."""

    socket: socket.socket
    sent_at: float = 0.0
    received: bytearray = field(default_factory=bytearray)

    def ask(self, user: int) -> None:
        """Send a request for the list of one user."""
        self.received.clear()
        self.sent_at = perf_counter()
        request = f"GET /recommendations?user_id=u{user}&context=homepage&limit=20 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        self.socket.sendall(request.encode())

    def answered(self) -> bool:
        """Read what has come; whether the answer is complete. Raises RuntimeError for anything but a 200."""
        chunk = self.socket.recv(65_536)
        if not chunk:
            raise RuntimeError("the server closed the connection")
        self.received += chunk
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator:
            return False
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(bytes(self.received[:500]).decode(errors="replace"))
        length = _LENGTH.search(head)
        return length is not None and len(body) >= int(length[1])


def load(port: int, connections: int, seconds: float, users: int) -> dict[str, float]:
    """Keep `connections` requests in flight for `seconds`; latencies are measured at the client."""
    choose = random.Random(1)
    clients = []
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            client = Connection(socket.create_connection(("127.0.0.1", port)))
            client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(client.socket, selectors.EVENT_READ, client)
            clients.append(client)
        latencies: list[float] = []
        start = perf_counter()
        for client in clients:
            client.ask(choose.randrange(users))
        while (now := perf_counter()) - start < seconds:
            for key, _ in selector.select(timeout=1):
                client = key.data
                if client.answered():
                    latencies.append(perf_counter() - client.sent_at)
                    client.ask(choose.randrange(users))
        for client in clients:
            client.socket.close()
    p50, p99 = np.percentile(np.array(latencies) * 1000, [50, 99]) if latencies else (float("nan"),) * 2
    return {"requests": len(latencies), "seconds": now - start, "p50_ms": float(p50), "p99_ms": float(p99)}


def main() -> None:
    """Load one server and print what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--users", type=int, default=2000)
    arguments = parser.parse_args()
    print(json.dumps(load(arguments.port, arguments.connections, arguments.seconds, arguments.users)))


if __name__ == "__main__":
    main()
