"""What the stream keeps in memory does not grow with everybody who ever came."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import median_high

import psutil

from headrace.machine.stream_state import checkpoint_folder
from headrace.settings import Settings
from tests.long.stream_of_strangers import NAME

STRANGERS = 60_000


def test_the_state_holds_the_users_of_the_last_seconds_only(tmp_path: Path) -> None:
    """Time made fast: a second stands for `flink.carried_seconds`, so that the run takes ten of these and more."""
    settings = Settings(home=tmp_path, flink={"carried_seconds": 1, "checkpoint_interval_ms": 1000})
    with (tmp_path / "out").open("w") as out:
        job = subprocess.Popen(
            [sys.executable, "-m", "tests.long.stream_of_strangers"],
            env={**os.environ, **settings.as_environment()},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    family = [psutil.Process(job.pid)]
    most_held = newest = 0
    deadline = time.monotonic() + 240
    try:
        while newest < STRANGERS:
            time.sleep(0.5)
            assert job.poll() is None, (tmp_path / "out").read_text()
            assert time.monotonic() < deadline, f"stranger {newest} after four minutes"
            held = strangers(checkpoint_folder(settings))
            most_held = max(most_held, len(held))
            newest = median_high(held) if held else newest
    finally:
        family += family[0].children(recursive=True)
        os.kill(job.pid, signal.SIGKILL)
        job.wait()
        _, alive = psutil.wait_procs(family[1:], timeout=30)
        for child in alive:
            child.kill()
    assert 1_000 < most_held < STRANGERS / 3


def strangers(folder: Path) -> set[int]:
    """The users in the newest complete checkpoint; empty while there is none, or if it is being removed."""
    try:
        complete = max((path for path in folder.glob("*/chk-*/_metadata")), key=lambda path: path.stat().st_mtime_ns)
        content = b"".join(file.read_bytes() for file in complete.parent.iterdir())
    except (OSError, ValueError):
        return set()
    return {int(number) for number in re.findall(rf"{NAME}(\d+)".encode(), content)}
