"""What the stream keeps in memory does not grow with everybody who ever came."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from headrace.machine.stream_state import checkpoint_folder
from headrace.settings import Settings
from tests.long.stream_of_strangers import EVENTS_PER_SECOND, NAME

SECONDS = 12


def test_the_state_holds_the_users_of_the_last_seconds_only(tmp_path: Path) -> None:
    """Time made fast: here a second is `flink.carried_seconds`, of which the run takes twelve."""
    settings = Settings(home=tmp_path, flink={"carried_seconds": 1, "checkpoint_interval_ms": 1000})
    with (tmp_path / "out").open("w") as out:
        job = subprocess.Popen(
            [sys.executable, "-m", "tests.long.stream_of_strangers"],
            env={**os.environ, **settings.as_environment()},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    family = [psutil.Process(job.pid)]
    most_held, came = 0, set[int]()
    deadline = time.monotonic() + 240
    try:
        while max(came, default=0) - min(came, default=0) < SECONDS:
            time.sleep(0.5)
            assert job.poll() is None, (tmp_path / "out").read_text()
            assert time.monotonic() < deadline, f"{came} after four minutes"
            held = strangers(checkpoint_folder(settings))
            most_held = max(most_held, len(held))
            came |= {second for second, _ in held}
    finally:
        family += family[0].children(recursive=True)
        os.kill(job.pid, signal.SIGKILL)
        job.wait()
        _, alive = psutil.wait_procs(family[1:], timeout=30)
        for child in alive:
            child.kill()
    assert EVENTS_PER_SECOND / 5 < most_held < EVENTS_PER_SECOND * SECONDS / 2


def strangers(folder: Path) -> set[tuple[int, int]]:
    """The users in the newest complete checkpoint, each the second they came and a number.

    Empty while there is no checkpoint, or if it is just being removed.
    """
    try:
        complete = max(folder.glob("*/chk-*/_metadata"), key=lambda path: path.stat().st_mtime_ns)
        content = b"".join(file.read_bytes() for file in complete.parent.iterdir())
    except (OSError, ValueError):
        return set()
    named = re.findall(rf"{NAME}([0-9]{{10}})-([0-9]+)".encode(), content)
    return {(int(second), int(number)) for second, number in named}
