"""Two runs that would write the same: one wins, the other says who is at work, before any engine starts."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from threading import Timer

import pytest

from headrace.settings import Settings, load_settings
from jobs.batch.__main__ import main
from jobs.batch.engine.run_locks import HeldError, held, lock_folder
from tests.jobs.batch.worlds import DAY

OTHER_RUN = """
import sys
from datetime import date
from headrace.settings import Settings
from jobs.batch.engine.run_locks import held
with held(Settings(), "features,quality", date(2026, 11, 20), sys.argv[1:]):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def other_run(settings: Settings, *locks: str) -> Iterator[subprocess.Popen[str]]:
    """A process at work with the locks."""
    command = [sys.executable, "-c", OTHER_RUN, *locks]
    environment = {**os.environ, **settings.as_environment()}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_the_second_run_ends_with_one_sentence_that_names_the_first(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    load_settings.cache_clear()
    with other_run(settings, "features", f"quality-{DAY}") as other:
        assert main(["quality", "--day", str(DAY)]) == 1
        said = capsys.readouterr().err
    load_settings.cache_clear()
    assert re.fullmatch(
        rf"error: `features,quality --day {DAY}` \(process {other.pid} on \S+, since \S+ \S+\) is writing the tables "
        rf"that job `quality-{DAY}` would write\. Run this again after it has ended: .*nothing has to be removed\n",
        said,
    )


def test_other_days_and_other_jobs_go_on_but_no_run_gets_the_whole_lake(settings: Settings) -> None:
    with other_run(settings, f"quality-{DAY}") as other:
        with held(settings, "clean,quality", DAY, ["clean", "quality-2026-11-19"]):
            pass
        with (
            pytest.raises(HeldError, match=rf"process {other.pid} .* is writing the tables that `maintenance` would"),
            held(settings, "maintenance", DAY, ["maintenance"], alone=True),
        ):
            pass
    with held(settings, "maintenance", DAY, ["maintenance"], alone=True):  # the other one has ended
        pass


def test_a_killed_run_leaves_no_lock_behind(settings: Settings) -> None:
    with other_run(settings, "clean") as other:
        os.kill(other.pid, signal.SIGKILL)
        other.wait(10)
        with held(settings, "clean", date(2026, 11, 21), ["clean"]):
            assert "2026-11-21" in (lock_folder(settings) / "clean.lock").read_text()


def test_a_run_that_may_wait_begins_when_the_other_one_ends(settings: Settings) -> None:
    with other_run(settings, "clean") as other:
        Timer(0.2, other.kill).start()
        with held(settings, "clean", DAY, ["clean"], wait_minutes=1):
            assert other.wait(10) == -signal.SIGKILL


def test_a_lake_in_a_bucket_is_locked_on_this_machine(tmp_path: Path) -> None:
    bucket = Settings(home=tmp_path, lake="s3a://bucket/lake")
    assert lock_folder(bucket).parent == tmp_path / "locks"
    assert lock_folder(Settings(home=tmp_path, lake=f"file://{tmp_path}/lake")) == tmp_path / "lake" / "_locks"
