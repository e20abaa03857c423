"""One DAG run for one day through Airflow itself, in the foreground: real task runs without a scheduler."""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import psutil

from headrace.errors import HeadraceError
from headrace.machine.subprocesses import sigterm_as_ctrl_c
from headrace.settings import Settings
from infra.local.airflow_home import DAGS, airflow_home, command, environment, for_a_run, prepare
from infra.local.airflow_progress import RunProgress

STOP_SECONDS = 10
"""A command that has not ended this long after SIGTERM is killed."""


def run(dag: str, day: date, settings: Settings, dags: Path = DAGS) -> None:
    """Run every task of `dag` for `day` (UTC), in order, with its retries, and report the progress.

    Airflow's logical date is the midnight that ends the day, as for a run that is started in the web page.
    Raises HeadraceError naming the task that failed and its log.
    """
    began = time.monotonic()
    logs = airflow_home(settings) / "logs" / "runs" / dag / day.isoformat()
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    progress = RunProgress(logs, _say)
    with for_a_run(settings) as database:
        prepare(settings, database)
        _say(f"{dag} for {day}: starting Airflow; logs in {logs}")
        code = _dags_test(dag, day, progress, environment(settings, dags, database))
    if failed := progress.failed:
        tries = f" after {failed.number} attempts" if failed.number > 1 else ""
        raise HeadraceError(f"task '{failed.task}' of DAG '{dag}' failed{tries}", f"Its log is {failed.log}")
    if code != 0 or not progress.attempts:
        raise HeadraceError(f"DAG '{dag}' did not run", f"Airflow's log is {logs / 'airflow.log'}")
    _say(f"{dag} for {day}: success after {time.monotonic() - began:.1f} s")


def _dags_test(dag: str, day: date, progress: RunProgress, variables: dict[str, str]) -> int:
    """Run the subprocess, process its lines, return its exit code; it ends with this process, and all it started."""
    child = subprocess.Popen(
        command("dags", "test", dag, (day + timedelta(days=1)).isoformat()),
        env={**variables, "AIRFLOW__LOGGING__JSON_LOGS": "True"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    with sigterm_as_ctrl_c():
        try:
            assert child.stdout is not None  # noqa: S101 - it is piped
            for line in child.stdout:
                progress.read(line.rstrip("\n"))
            return child.wait()
        finally:
            _end_with_subprocesses(child)


def _end_with_subprocesses(child: subprocess.Popen[str]) -> None:
    """End a subprocess that still runs, with the commands of its tasks, which Airflow starts in separate sessions.

    Suspended first, so that it starts no further command. The next run for the day starts from the beginning.
    """
    if child.poll() is not None:
        return
    airflow = psutil.Process(child.pid)
    airflow.suspend()
    commands = airflow.children(recursive=True)
    airflow.kill()
    for process in commands:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(commands, timeout=STOP_SECONDS)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    child.wait()


def _say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)
