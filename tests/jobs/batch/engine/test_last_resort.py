"""What fails inside Spark is one sentence of the command, without Java's or a worker's stack trace; so is Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from headrace.settings import PROJECT_ROOT

JOB = """
import sys, time
from pathlib import Path
from headrace.machine.last_resort import reporting_errors
from headrace.settings import load_settings
from jobs.batch.engine.session import spark_session

def work():
    with spark_session("odd", load_settings()) as spark:
        {}

def fail(batches):
    raise KeyError("price")
    yield from batches

def sleep(batches):
    Path(sys.argv[1]).touch()
    time.sleep(120)
    yield from batches

sys.exit(reporting_errors(work, "error: "))
"""


def job(folder: Path, work: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "HEADRACE_HOME": str(folder)}
    environment.pop("HEADRACE_TRACES", None)
    return subprocess.Popen(
        [sys.executable, "-c", JOB.format(work), str(folder / "started")],
        env=environment,
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_an_error_of_a_worker_is_the_commands_one_sentence_and_its_trace_is_in_the_log(tmp_path: Path) -> None:
    with job(tmp_path, "spark.range(3).mapInArrow(fail, 'id long').collect()") as failing:
        _, said = failing.communicate(timeout=300)
    assert failing.returncode == 1
    assert (
        said.strip().split("\n")[-1].startswith("error: -c failed for a reason it does not know: PythonException: KeyE")
    )
    assert "Traceback" not in said and "\tat " not in said
    assert "KeyError" in (tmp_path / "logs" / "errors.log").read_text()


def test_ctrl_c_during_a_spark_job_shows_no_trace(tmp_path: Path) -> None:
    with job(tmp_path, "spark.range(0, 1, 1, 1).mapInArrow(sleep, 'id long').collect()") as running:
        while not (tmp_path / "started").exists():
            assert running.poll() is None
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does: Java and the workers have it too
        _, said = running.communicate(timeout=120)
    assert running.returncode == -signal.SIGINT
    assert "Traceback" not in said and "\tat " not in said
