"""Background services: started independently of this terminal, waited for until ready, stopped by process id.

Every service is the leader of its own session and has a random token in its environment, so that child processes which
outlive it are found and ended with it, and no other process ever is.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from headrace.errors import HeadraceError, ServiceError
from headrace.machine.run_records import (
    RunRecord,
    forget_record,
    read_record,
    run_folder,
    write_record,
)
from headrace.machine.subprocesses import child_environment
from headrace.settings import Settings

MIN_FREE_BYTES = 2 * 1024**3
"""No service is started with less free disk space: engines that run out of it damage their files."""
TOKEN_VARIABLE = "HEADRACE_PART_TOKEN"  # noqa: S105 - a token to find child processes by, not a secret
STOP_SECONDS = 20.0
"""A service that has not ended this long after SIGTERM is killed."""
POLL_SECONDS = 0.1
LOG_LINES = 8
GONE = (psutil.Error, ProcessLookupError, PermissionError)


def start(
    name: str,
    command: Sequence[str],
    settings: Settings,
    *,
    ready: Callable[[], bool],
    before: Callable[[], None] = lambda: None,
    environment: dict[str, str] | None = None,
    address: str = "",
    timeout_seconds: float = 90.0,
) -> RunRecord:
    """Start a service and wait until `ready()` is true; one that already runs is only waited for.

    `before` prepares the start (ports, files) and may raise. Raises ServiceError with the last lines of the log if the
    service ends by itself or is not ready in time (it is then stopped).
    """
    home = settings.home_folder
    run_folder(home).mkdir(parents=True, exist_ok=True)
    with _only_one(home, name):
        record = read_record(home, name)
        if record is None or record.process() is None:
            _end_remains(home, record)
            require_disk(home)
            before()
            record = _launch(name, command, settings, environment or {}, address)
        _wait_until_ready(record, ready, timeout_seconds)
        return record


def stop(name: str, home: Path, timeout_seconds: float = STOP_SECONDS) -> bool:
    """End a service and all processes it started: SIGTERM, then SIGKILL; returns whether any was running."""
    run_folder(home).mkdir(parents=True, exist_ok=True)
    with _only_one(home, name):
        record = read_record(home, name)
        ended = record is not None and _end(record, timeout_seconds)
        forget_record(home, name)
        return ended


def running(name: str, home: Path) -> RunRecord | None:
    """The record of a service whose process runs."""
    record = read_record(home, name)
    return record if record is not None and record.process() is not None else None


def require_disk(folder: Path) -> None:
    """Raises HeadraceError if the disk of `folder` is nearly full."""
    free = shutil.disk_usage(folder).free
    if free < MIN_FREE_BYTES:
        raise HeadraceError(
            f"The disk of {folder} has {free / 1024**3:.1f} GiB free, at least {MIN_FREE_BYTES >> 30} are needed",
            "Free some, or choose a folder on another disk with HEADRACE_HOME",
        )


def log_file(home: Path, name: str) -> Path:
    """Output of the service's latest run; the one before is kept as `<name>.previous.log`."""
    return home / "logs" / f"{name}.log"


def last_lines(log: Path, count: int = LOG_LINES) -> str:
    """The end of a log, indented; empty if the log is."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return "".join(f"\n  {line[:300]}" for line in lines[-count:])


def _launch(
    name: str, command: Sequence[str], settings: Settings, environment: dict[str, str], address: str
) -> RunRecord:
    home = settings.home_folder
    log = log_file(home, name)
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_name(f"{name}.previous.log"))
    token = secrets.token_hex(16)
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**child_environment(settings), **environment, TOKEN_VARIABLE: token},
        )
    process.returncode = 0  # left running on purpose: prevents the interpreter's warning
    try:
        created = psutil.Process(process.pid).create_time()
    except psutil.NoSuchProcess:
        created = time.time()
    record = RunRecord(name, process.pid, created, token, list(command), str(log), address)
    write_record(home, record)
    return record


def _wait_until_ready(record: RunRecord, ready: Callable[[], bool], timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not ready():
        if record.process() is None:
            raise ServiceError(f"{record.name} ended while starting", _see_log(record))
        if time.monotonic() > deadline:
            _end(record, STOP_SECONDS)
            raise ServiceError(
                f"{record.name} was not ready after {timeout_seconds:.0f} s and was stopped", _see_log(record)
            )
        time.sleep(POLL_SECONDS)
    if record.process() is None:  # another process answers on its port
        raise ServiceError(f"{record.name} ended while starting", _see_log(record))


def _see_log(record: RunRecord) -> str:
    return f"See {record.log}, which ends with:{last_lines(Path(record.log))}"


def _end(record: RunRecord, timeout_seconds: float) -> bool:
    processes = _processes(record)
    leader = record.process()
    for process in [leader] if leader is not None else processes:
        with suppress(*GONE):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=timeout_seconds if leader is not None else 2.0)
    remains = {*alive, *_processes(record)}
    for process in remains:
        with suppress(*GONE):
            process.kill()
    psutil.wait_procs(list(remains), timeout=5.0)
    return bool(processes)


def _end_remains(home: Path, record: RunRecord | None) -> None:
    if record is not None:
        _end(record, STOP_SECONDS)
        forget_record(home, record.name)


def _processes(record: RunRecord) -> list[psutil.Process]:
    """The service's process and all processes of its session.

    Once the leader has ended only those with its token count. (Valkey overwrites its environment, with the token.)
    """
    leader = record.process()
    found = [leader] if leader is not None else []
    for process in psutil.process_iter():
        with suppress(*GONE):
            if process.pid == record.pid or os.getsid(process.pid) != record.pid:
                continue
            if leader is not None or process.environ().get(TOKEN_VARIABLE) == record.token:
                found.append(process)
    return found


@contextmanager
def _only_one(home: Path, name: str) -> Iterator[None]:
    """Lock, so that two terminals do not start or stop the same service at once."""
    with (run_folder(home) / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
