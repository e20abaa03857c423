"""Locks of runs: a run that would write the same as another one fails at once, with the holder of the lock.

A lock is the kernel's, on a file next to the tables: it is released when its process ends, so that a killed run leaves
no stale lock. A lake in a bucket has no such files; its locks are per machine.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TextIO

from headrace.errors import HeadraceError
from headrace.settings import Settings

LAKE = "lake"
"""Shared lock of every run; exclusive for one that needs the whole lake."""


POLL_SECONDS = 1.0


class HeldError(HeadraceError):
    """Another run holds a lock that this one needs."""


@contextmanager
def held(
    settings: Settings, run: str, day: date, names: Sequence[str], alone: bool = False, wait_minutes: float = 0
) -> Iterator[None]:
    """Hold the locks `names` for the block; with `alone` the whole lake. `run` and `day` are shown to others.

    Raises HeldError, with the other run's jobs, day, process, host and start, if another process still holds one of
    them after `wait_minutes`.
    """
    folder = lock_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + 60 * wait_minutes
    with ExitStack() as locks:
        while True:
            try:
                _acquire(locks, folder, run, day, names, alone)
                break
            except HeldError:
                locks.close()
                if time.monotonic() >= until:
                    raise
            time.sleep(POLL_SECONDS)
        yield


def _acquire(locks: ExitStack, folder: Path, run: str, day: date, names: Sequence[str], alone: bool) -> None:
    if not _locked(locks.enter_context(_opened(folder, LAKE)), shared=not alone):
        raise _held_by(_holder(folder), f"`{run}`")
    for name in sorted(set(names)):
        file = locks.enter_context(_opened(folder, name))
        if not _locked(file):
            raise _held_by(_read(file), f"job `{name}`")
        _sign(file, run, day)


def lock_folder(settings: Settings) -> Path:
    """Folder of this lake's locks."""
    root = settings.lake_root.removeprefix("file://")
    if re.match(r"[a-z0-9]+:", root):
        return settings.home_folder / "locks" / hashlib.sha256(root.encode()).hexdigest()[:16]
    return Path(root) / "_locks"


@contextmanager
def _opened(folder: Path, name: str) -> Iterator[TextIO]:
    with (folder / f"{name}.lock").open("a+", encoding="utf-8") as file:
        yield file


def _locked(file: TextIO, shared: bool = False) -> bool:
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(file: TextIO, run: str, day: date) -> None:
    file.truncate(0)
    since = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
    json.dump({"run": run, "day": str(day), "pid": os.getpid(), "host": socket.gethostname(), "since": since}, file)
    file.flush()


def _holder(folder: Path) -> dict[str, str]:
    """A run that holds one of the locks now, if the lake's own lock is refused."""
    for path in sorted(folder.glob("*.lock")):
        if path.stem == LAKE:
            continue
        with path.open("a+", encoding="utf-8") as file:
            if not _locked(file, shared=True):
                return _read(file)
    return {}


def _read(file: TextIO) -> dict[str, str]:
    file.seek(0)
    try:
        holder = json.load(file)
    except ValueError:  # it has the lock and has not written its name yet
        return {}
    return dict(holder)


def _held_by(holder: dict[str, str], wanted: str) -> HeldError:
    who = "another run"
    if holder:
        who = "`{run} --day {day}` (process {pid} on {host}, since {since})".format(**holder)
    return HeldError(
        f"{who} is writing the tables that {wanted} would write",
        "Run this again after it has ended: the lock is released with that process, nothing has to be removed",
    )
