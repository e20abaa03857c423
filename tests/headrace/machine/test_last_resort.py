"""An unexpected error is one sentence; its stack trace is in the log that the sentence names."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from headrace.cli import app as cli
from headrace.errors import BadInputError
from headrace.machine.last_resort import IN_A_TASK, ON_STDERR, reporting_errors, summary
from headrace.settings import PROJECT_ROOT, load_settings

MAINS = [
    path
    for room in ("headrace", "jobs", "models", "serving", "infra", "feature_repo")
    for path in sorted((PROJECT_ROOT / room).rglob("*.py"))
    if 'if __name__ == "__main__":' in (text := path.read_text(encoding="utf-8"))
    and "import main" not in text  # it only calls another module's
]


@pytest.fixture(autouse=True)
def a_person_watches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a command writes to stderr is what somebody reads: no report of a test or of a task."""
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    load_settings.cache_clear()
    monkeypatch.delenv(ON_STDERR, raising=False)
    yield
    load_settings.cache_clear()


def divide() -> float:
    return 1 / 0


def test_an_unforeseen_error_is_one_sentence_and_its_trace_is_in_the_log_it_names(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["headrace", "import", "--events", "sales.csv"])
    assert reporting_errors(divide) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "ZeroDivisionError: division by zero" in told
    log = Path(told.strip().rpartition(" ")[2])
    assert log == tmp_path / "logs" / "errors.log"
    assert "import --events sales.csv\nTraceback" in log.read_text() and "return 1 / 0" in log.read_text()
    reporting_errors(divide)
    assert log.read_text().count("Traceback") == 2


@pytest.mark.parametrize(("variable", "value"), [(IN_A_TASK, "daily"), (ON_STDERR, "stderr")])
def test_the_log_of_a_task_and_the_report_of_a_test_get_the_trace_before_the_sentence(
    variable, value, monkeypatch, capsys
):
    monkeypatch.setenv(variable, value)
    assert reporting_errors(divide) == 1
    *trace, sentence = capsys.readouterr().err.strip().split("\n")
    assert trace[0] == "Traceback (most recent call last):" and "ZeroDivisionError" in sentence


def test_a_command_that_fails_in_a_home_that_takes_no_file_keeps_the_trace_elsewhere(tmp_path):
    """What is raised here no code of ours foresees: the home is a file."""
    (tmp_path / "home").touch()
    environment = {**os.environ, "HEADRACE_HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path)}
    for arguments in (["infra.local", "up", "valkey"], ["jobs.batch", "clean", "--day", "2026-11-20"]):
        done = subprocess.run(
            [sys.executable, "-m", *arguments], env=environment, cwd=PROJECT_ROOT, capture_output=True, text=True
        )
        assert done.returncode == 1 and done.stderr.count("\n") == 1
        assert f"{arguments[0]} failed unexpectedly: NotADirectoryError" in done.stderr
        assert done.stderr.endswith(f"{tmp_path}/headrace-logs/errors.log\n")
    assert (tmp_path / "headrace-logs" / "errors.log").read_text().count("Traceback") == 2


def test_the_command_line_tells_it_the_same_way(tmp_path, monkeypatch):
    def broken(_: object) -> float:
        return divide()

    monkeypatch.setattr("headrace.cli.reference.effective_text", broken)
    answer = CliRunner().invoke(cli.app, ["settings"])
    assert answer.exit_code == 1 and answer.stderr.count("\n") == 1
    assert f"ZeroDivisionError: division by zero. The stack trace is at the end of {tmp_path}/logs" in answer.stderr


def test_ctrl_c_ends_a_command_as_the_signal_does_and_says_nothing():
    script = (
        "from headrace.machine.last_resort import reporting_errors; import time; "
        "reporting_errors(lambda: (print('ready', flush=True), time.sleep(60)))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=PROJECT_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as command:
        assert command.stdout and command.stdout.readline() == "ready\n"
        command.send_signal(signal.SIGINT)
        _, told = command.communicate(timeout=30)
    assert (command.returncode, told) == (-signal.SIGINT, "")


def test_the_exit_code_is_what_the_work_returns_and_a_known_mistake_is_its_own_sentence(capsys):
    assert (reporting_errors(lambda: 0), reporting_errors(lambda: 3)) == (0, 3)
    assert reporting_errors(lambda: "anything else") == 0

    def refuse() -> None:
        raise BadInputError("sales.csv is empty", "Give another")

    assert reporting_errors(refuse, "error: ") == 1
    assert capsys.readouterr().err == "error: sales.csv is empty. Give another\n"


def test_the_gist_of_an_error_from_elsewhere_is_the_one_that_caused_it():
    java = "An error occurred while calling o1.save.\n: org.apache.spark.SparkException: Job aborted.\n\tat scala.A"
    worker = "\n  It failed.\nTraceback (most recent call last):\n  File 'a.py'\nKeyError: 'price'\n\n\tat B"
    assert summary(RuntimeError(java)) == "RuntimeError: org.apache.spark.SparkException: Job aborted"
    assert summary(RuntimeError(worker)) == "RuntimeError: KeyError: 'price'"
    assert summary(RuntimeError("x" * 1000)) == f"RuntimeError: {'x' * 285}…"
    assert summary(RuntimeError()) == "RuntimeError"


@pytest.mark.parametrize("main", MAINS, ids=lambda path: str(path.relative_to(PROJECT_ROOT)))
def test_every_module_that_can_be_started_reports_its_errors_that_way(main):
    assert re.search(r"\breporting_errors\(|\bday_command\(", main.read_text(encoding="utf-8"))
