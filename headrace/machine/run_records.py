"""Background services of this machine: one small file per service in `<home>/run`, with its process.

A process is identified by its id *and* its start time, so that a reused id is never mistaken for ours.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

SAME_START_SECONDS = 0.05
"""Start times are read from the kernel's clock ticks; two readings differ by less than this."""


@dataclass(frozen=True)
class RunRecord:
    """One background service, as it was started."""

    name: str
    pid: int
    """Also the id of its session, to which all its child processes belong."""
    created: float
    """Start of the process, seconds since 1970."""
    token: str
    """Random token in the environment of the service and its child processes."""
    command: list[str]
    log: str
    address: str = ""
    """Where it answers, for people."""

    def process(self) -> psutil.Process | None:
        """The process, if it still runs and is the one that was started."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < SAME_START_SECONDS
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


def run_folder(home: Path) -> Path:
    """Folder of the records."""
    return home / "run"


def write_record(home: Path, record: RunRecord) -> None:
    """Write a record; replaces the service's older one atomically."""
    target = run_folder(home) / f"{record.name}.json"
    partial = target.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(record), indent=2), encoding="utf-8")
    partial.replace(target)


def read_record(home: Path, name: str) -> RunRecord | None:
    """A service's record; None where there is none or it is unreadable."""
    try:
        return RunRecord(**json.loads((run_folder(home) / f"{name}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def read_records(home: Path) -> list[RunRecord]:
    """All records, oldest start first."""
    names = [path.stem for path in run_folder(home).glob("*.json")]
    records = [record for name in names if (record := read_record(home, name))]
    return sorted(records, key=lambda record: record.created)


def forget_record(home: Path, name: str) -> None:
    """Remove a service's record."""
    (run_folder(home) / f"{name}.json").unlink(missing_ok=True)
