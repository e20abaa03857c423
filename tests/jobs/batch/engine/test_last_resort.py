"""What fails inside Spark is one sentence of the command, without Java's or a worker's stack trace."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from headrace.settings import PROJECT_ROOT
from tests.spark_fixture import QUICK_JAVA

JOB = """
import sys
from headrace.machine.last_resort import reporting_errors
from headrace.settings import load_settings
from jobs.batch.engine.session import spark_session

def work():
    with spark_session("odd", load_settings()) as spark:
        {}

def fail(batches):
    raise KeyError("price")
    yield from batches

sys.exit(reporting_errors(work, "error: "))
"""


def job(folder: Path, work: str) -> subprocess.Popen[str]:
    environment = {**os.environ, **QUICK_JAVA, "HEADRACE_HOME": str(folder)}
    environment.pop("HEADRACE_TRACES", None)
    return subprocess.Popen(
        [sys.executable, "-c", JOB.format(work)],
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
    assert said.strip().split("\n")[-1].startswith("error: -c failed unexpectedly: PythonException: KeyE")
    assert "Traceback" not in said and "\tat " not in said
    assert "KeyError" in (tmp_path / "logs" / "errors.log").read_text()
