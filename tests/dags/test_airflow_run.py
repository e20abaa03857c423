"""A DAG run through Airflow itself, on a database of its own."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import settings_on_free_ports

EXAMPLE = Path(__file__).parent / "example"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("airflow")


@pytest.fixture(scope="module")
def run_of_the_example(home: Path) -> subprocess.CompletedProcess[str]:
    """`run example --day 2026-11-22`: its first task works, its second fails at both attempts."""
    settings = settings_on_free_ports(home)
    return subprocess.run(
        [sys.executable, "-m", "infra.local.airflow", "--dags", str(EXAMPLE), "run", "example", "--day", "2026-11-22"],
        env={**os.environ, **settings.as_environment()},
        capture_output=True,
        text=True,
        check=False,
    )


def test_failed_task_gives_exit_code_one_and_one_sentence_with_its_name_and_log(
    run_of_the_example: subprocess.CompletedProcess[str], home: Path
) -> None:
    log = home / "airflow" / "logs" / "runs" / "example" / "2026-11-22" / "fails_twice.log"
    assert run_of_the_example.returncode == 1
    sentence = f"task 'fails_twice' of DAG 'example' failed after 2 attempts. Its log is {log}\n"
    assert run_of_the_example.stderr == sentence
    assert log.read_text().count("info trying\n") == 2


def test_both_ways_to_name_the_day_give_the_day_asked_for(run_of_the_example: subprocess.CompletedProcess[str]) -> None:
    assert "shows_its_day | interval 2026-11-22 update 2026-11-22\n" in run_of_the_example.stdout


def test_progress_of_each_task_is_reported_and_nothing_runs_after_the_failure(
    run_of_the_example: subprocess.CompletedProcess[str],
) -> None:
    told = [line.split("] ", 1)[-1] for line in run_of_the_example.stdout.splitlines()]
    without_seconds = [line.rpartition(" after ")[0] or line for line in told]
    assert without_seconds[-6:] == [
        "fails_twice: started",
        "  fails_twice | trying",
        "fails_twice: failed, will be retried",
        "fails_twice: started (attempt 2)",
        "  fails_twice | trying",
        "fails_twice: failed",
    ]
    assert "never_runs" not in run_of_the_example.stdout


def test_only_the_owner_can_read_the_keys_of_airflow(
    run_of_the_example: subprocess.CompletedProcess[str], home: Path
) -> None:
    assert stat.S_IMODE((home / "airflow").stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "airflow" / "airflow.cfg").stat().st_mode) == 0o600
