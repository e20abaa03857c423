"""Scheduler, web page, DAG processor and triggerer on this machine, until Ctrl-C."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

import httpx

from headrace.errors import ServiceError
from headrace.machine.subprocesses import sigterm_as_ctrl_c
from headrace.settings import Settings
from infra.local.airflow_home import DAGS, airflow_home, command, environment, for_the_scheduler, prepare

# The log servers that scheduler and triggerer would open to the network are not needed: all logs are on this disk.
PROCESSES = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
READY_SECONDS = 180
STOP_SECONDS = 20


def web(settings: Settings, dags: Path = DAGS) -> None:
    """Start the processes, print the page's address once all are healthy, and stop them when this process ends.

    Raises ServiceError if the port is in use, or a process ends or does not become healthy, naming its log.
    """
    with for_the_scheduler(settings) as database:
        _require_free(settings.airflow.port)
        prepare(settings, database)
        _serve(airflow_home(settings), settings.airflow.port, environment(settings, dags, database))


def _serve(home: Path, port: int, variables: dict[str, str]) -> None:
    logs = home / "logs"
    logs.mkdir(exist_ok=True)
    running: dict[str, subprocess.Popen[bytes]] = {}
    with sigterm_as_ctrl_c():
        try:
            for name, arguments in PROCESSES.items():
                running[name] = _start(arguments, home, logs / f"{name}.log", variables)
            print(f"Airflow is starting; logs in {logs}", flush=True)
            _wait_until_healthy(port, running, logs)
            print(f"Airflow: http://127.0.0.1:{port} (user admin)", flush=True)
            print(f"Its password is in {home / 'simple_auth_manager_passwords.json.generated'}", flush=True)
            print("DAGs are paused until you switch them on. Ctrl-C stops Airflow.", flush=True)
            while True:
                _require_alive(running, logs)
                time.sleep(1)
        except KeyboardInterrupt:
            print("Stopping Airflow", flush=True)
        finally:
            _stop(running)


def _start(arguments: tuple[str, ...], home: Path, log: Path, variables: dict[str, str]) -> subprocess.Popen[bytes]:
    """One process, in its own session: Ctrl-C reaches this process, which stops them in order."""
    with log.open("wb") as output:
        return subprocess.Popen(
            command(*arguments),
            env=variables,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise ServiceError(
                f"port {port} is in use by another program", "Stop it, or set HEADRACE_AIRFLOW__PORT to a free port"
            ) from None


def _require_alive(running: dict[str, subprocess.Popen[bytes]], logs: Path) -> None:
    for name, process in running.items():
        if process.poll() is not None:
            raise ServiceError(f"Airflow's {name} ended with code {process.returncode}", f"See {logs / name}.log")


def _wait_until_healthy(port: int, running: dict[str, subprocess.Popen[bytes]], logs: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    missing = sorted(PROCESSES)
    while time.monotonic() < deadline:
        _require_alive(running, logs)
        missing = _unhealthy(port)
        if not missing:
            return
        time.sleep(1)
    raise ServiceError(f"Airflow is not healthy after {READY_SECONDS} s: {', '.join(missing)}", f"See {logs}")


def _unhealthy(port: int) -> list[str]:
    """The processes that are not healthy according to the web page."""
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/api/v2/monitor/health", timeout=5).raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return sorted(PROCESSES)
    keys = {
        "metadatabase": "database",
        "scheduler": "scheduler",
        "dag_processor": "dag-processor",
        "triggerer": "triggerer",
    }
    return [name for key, name in keys.items() if (answer.get(key) or {}).get("status") != "healthy"]


def _stop(running: dict[str, subprocess.Popen[bytes]]) -> None:
    """End the started processes, last first: SIGTERM, then SIGKILL."""
    for process in reversed(running.values()):
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for process in reversed(running.values()):
        try:
            process.wait(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
