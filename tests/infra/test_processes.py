"""Background parts, tried with small real processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from headrace.errors import HeadraceError, ServiceError
from headrace.machine.run_records import RunRecord, read_record, write_record
from headrace.settings import Settings
from infra.local import processes

SLEEP = [sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(60)"]
CHILD_PID = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"


@pytest.fixture
def settings(tmp_path: Path):
    yield Settings(home=tmp_path)
    for record in (tmp_path / "run").glob("*.json"):
        processes.stop(record.stem, tmp_path)


def output(settings: Settings, name: str) -> str:
    return processes.log_file(settings.home_folder, name).read_text()


def start(name: str, command: list[str], settings: Settings) -> RunRecord:
    return processes.start(name, command, settings, ready=lambda: output(settings, name) != "", timeout_seconds=20)


def test_a_started_part_runs_in_a_session_of_its_own_and_is_recorded(settings):
    record = start("sleeper", SLEEP, settings)
    assert os.getsid(record.pid) == record.pid
    assert processes.running("sleeper", settings.home_folder) == record


def test_starting_a_running_part_again_does_no_harm(settings):
    assert start("sleeper", SLEEP, settings) == start("sleeper", SLEEP, settings)


def test_a_stopped_part_is_gone_and_stopping_it_again_does_nothing(settings):
    record = start("sleeper", SLEEP, settings)
    assert processes.stop("sleeper", settings.home_folder)
    assert not psutil.pid_exists(record.pid)
    assert not processes.stop("sleeper", settings.home_folder)


def test_a_part_that_ignores_sigterm_is_killed(settings):
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('begun', flush=True); time.sleep(60)"
    )
    record = start("stubborn", [sys.executable, "-c", stubborn], settings)
    assert processes.stop("stubborn", settings.home_folder, timeout_seconds=0.3)
    assert not psutil.pid_exists(record.pid)


def test_children_that_outlive_a_killed_part_are_ended_by_stop(settings):
    record = start("parent", [sys.executable, "-c", CHILD_PID], settings)
    child = psutil.Process(int(output(settings, "parent")))
    os.kill(record.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(record.pid)] if psutil.pid_exists(record.pid) else [], timeout=5)
    assert child.is_running()
    processes.stop("parent", settings.home_folder)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_process_that_got_the_id_of_an_ended_part_is_left_alone(settings):
    stranger = psutil.Popen(["sleep", "60"], start_new_session=True)
    (settings.home_folder / "run").mkdir()
    old = RunRecord("old", stranger.pid, stranger.create_time() - 100, "mark", ["sleep"], "")
    write_record(settings.home_folder, old)
    try:
        assert processes.running("old", settings.home_folder) is None
        assert not processes.stop("old", settings.home_folder)
        assert stranger.is_running()
    finally:
        stranger.kill()
        stranger.wait()


def test_a_part_that_ends_while_starting_shows_the_last_lines_of_its_log(settings):
    command = [sys.executable, "-c", "print('no luck today'); raise SystemExit(3)"]
    with pytest.raises(ServiceError, match=r"broken ended while starting(.|\n)*broken.log(.|\n)*no luck today"):
        processes.start("broken", command, settings, ready=lambda: False)


def test_a_part_that_is_not_ready_in_time_is_stopped(settings):
    with pytest.raises(ServiceError, match="slow was not ready after 0 s"):
        processes.start("slow", SLEEP, settings, ready=lambda: False, timeout_seconds=0.2)
    record = read_record(settings.home_folder, "slow")
    assert record is not None and not psutil.pid_exists(record.pid)


def test_nothing_is_started_on_a_full_disk(settings, monkeypatch):
    monkeypatch.setattr(processes, "MIN_FREE_BYTES", 10**18)
    with pytest.raises(HeadraceError, match=r"has .* GiB free, at least .* HEADRACE_HOME"):
        start("sleeper", SLEEP, settings)


def test_the_log_of_the_run_before_is_kept(settings):
    start("sleeper", SLEEP, settings)
    processes.stop("sleeper", settings.home_folder)
    start("sleeper", [*SLEEP[:2], SLEEP[2].replace("begun", "begun again")], settings)
    log = processes.log_file(settings.home_folder, "sleeper")
    assert (log.read_text(), log.with_name("sleeper.previous.log").read_text()) == ("begun again\n", "begun\n")


def test_a_part_ends_quickly_when_it_can(settings):
    start("sleeper", SLEEP, settings)
    began = time.monotonic()
    processes.stop("sleeper", settings.home_folder)
    assert time.monotonic() - began < 2
