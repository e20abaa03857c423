"""MLflow's tracking server and registry on this machine: SQLite and a folder of artifacts."""

from __future__ import annotations

import sys

import httpx

from headrace.machine.ports import LOOPBACK, local_port, require_free
from headrace.machine.run_records import RunRecord
from headrace.settings import Settings
from infra.local.processes import start

NAME = "mlflow"
SETTING = "mlflow.tracking_uri"
START_SECONDS = 180.0
"""The first start creates the database; on a busy machine that takes a minute."""


def start_mlflow(settings: Settings) -> RunRecord:
    """Start the server; returns once it is healthy. Raises HeadraceError with the cause if it cannot."""
    address = settings.mlflow.tracking_uri
    port = local_port(SETTING, address)
    folder = settings.home_folder / NAME

    def prepare() -> None:
        require_free(port, SETTING, address)
        (folder / "artifacts").mkdir(parents=True, exist_ok=True)

    command = [sys.executable, "-P", "-m", "mlflow", "server"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts"), "--serve-artifacts"]
    command += ["--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    command += ["--uvicorn-opts=--no-access-log"]  # a running service asks every few seconds, all day
    return start(
        NAME,
        command,
        settings,
        before=prepare,
        ready=lambda: answers(settings),
        address=address,
        # Its background jobs (nine more processes) score prompts and traces, which are not used here.
        environment={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
        timeout_seconds=START_SECONDS,
    )


def answers(settings: Settings) -> bool:
    """Whether the server reports that it is healthy."""
    return answers_ok(f"{settings.mlflow.tracking_uri}/health")


def answers_ok(url: str) -> bool:
    """Whether an HTTP GET is answered with 200; for `ready` of any HTTP service."""
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
