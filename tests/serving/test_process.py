"""`python -m serving` as a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.conftest import settings_on_free_ports


def test_the_process_serves_without_store_and_broker_and_ends_when_it_is_told(
    tmp_path: Path, release_folder: Path
) -> None:
    settings = settings_on_free_ports(tmp_path)
    settings.serving.release = str(release_folder)
    address = f"http://127.0.0.1:{settings.serving.port}"
    environment = {**os.environ, **settings.as_environment()}
    process = subprocess.Popen([sys.executable, "-m", "serving"], env=environment)
    try:
        deadline = time.monotonic() + 30
        while not _ready(address):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        answer = httpx.get(f"{address}/recommendations", params={"user_id": "anna"}).json()
        assert answer["fallback"] == "online store away: popular items"
        assert len(answer["recommendations"]) == 20
        assert httpx.post(f"{address}/events", content=b"x" * 3_000_000).status_code == 413
    finally:
        process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0


def test_a_taken_port_is_said_in_one_sentence(tmp_path: Path) -> None:
    settings = settings_on_free_ports(tmp_path)
    with socket.create_server(("127.0.0.1", settings.serving.port)):
        environment = {**os.environ, **settings.as_environment()}
        command = [sys.executable, "-m", "serving"]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{settings.serving.port}" in ended.stderr
    assert "Traceback" not in ended.stderr


def _ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz").status_code == 200
    except httpx.HTTPError:
        return False
