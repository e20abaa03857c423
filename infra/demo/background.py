"""The stream and the service as background parts of the demo."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import httpx

from headrace.settings import Settings
from infra.local.processes import start

STREAM = "stream"
SERVING = "serving"
START_SECONDS = 120.0
"""Flink and the release's models take their time on two cores."""


def service_address(settings: Settings) -> str:
    """Address of the HTTP service."""
    return f"http://{settings.serving.host}:{settings.serving.port}"


def start_stream_and_service(settings: Settings) -> None:
    """Start both side by side and wait until the stream writes vectors and the service has warmed its release."""
    with ThreadPoolExecutor(2) as threads:
        for future in [threads.submit(start_stream, settings), threads.submit(start_service, settings)]:
            future.result()


def start_stream(settings: Settings) -> None:
    """Start the Flink job and wait until it is warm."""
    ready_file = settings.home_folder / "run" / "stream.ready"
    start(
        STREAM,
        [sys.executable, "-m", "jobs.streaming"],
        settings,
        before=lambda: ready_file.unlink(missing_ok=True),
        ready=ready_file.exists,
        timeout_seconds=START_SECONDS,
    )


def start_service(settings: Settings) -> None:
    """Start the HTTP service and wait until it is ready."""
    address = service_address(settings)

    def ready() -> bool:
        try:
            return httpx.get(f"{address}/readyz", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    start(
        SERVING,
        [sys.executable, "-m", "serving"],
        settings,
        ready=ready,
        address=address,
        timeout_seconds=START_SECONDS,
    )
