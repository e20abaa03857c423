"""The stream and the HTTP service as background services: `headrace up stream serving`."""

from __future__ import annotations

from pathlib import Path

from headrace.machine.ports import require_free, service_address
from headrace.machine.run_records import RunRecord, run_folder
from headrace.machine.subprocesses import module_command
from headrace.settings import Settings
from infra.local.mlflow import answers_ok
from infra.local.processes import start

STREAM = "stream"
SERVING = "serving"
START_SECONDS = 180.0
"""Flink and the release's models start slowly on two cores."""


def start_stream(settings: Settings) -> RunRecord:
    """Start the Flink job; returns once its function is warm, which is signalled by a file next to its record."""
    return start(
        STREAM,
        module_command("jobs.streaming"),
        settings,
        before=lambda: _warm_file(settings).unlink(missing_ok=True),
        ready=lambda: stream_answers(settings),
        address=f"topic {settings.kafka.events_topic}",
        timeout_seconds=START_SECONDS,
    )


def start_serving(settings: Settings) -> RunRecord:
    """Start the HTTP service; returns once its release is loaded and warmed."""
    port = settings.serving.port
    return start(
        SERVING,
        module_command("serving"),
        settings,
        before=lambda: require_free(port, "serving.port", str(port)),
        ready=lambda: serving_answers(settings),
        address=service_address(settings),
        timeout_seconds=START_SECONDS,
    )


def stream_answers(settings: Settings) -> bool:
    """Whether the job's function is warm."""
    return _warm_file(settings).exists()


def serving_answers(settings: Settings) -> bool:
    """Whether the service has a release, warm."""
    return answers_ok(f"{service_address(settings)}/readyz")


def _warm_file(settings: Settings) -> Path:
    return run_folder(settings.home_folder) / "stream.ready"
