"""The newest complete checkpoint in the home folder."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

METADATA = "_metadata"
"""Flink writes this file last: a checkpoint with it is complete."""


def newest_checkpoint(folder: Path) -> Path | None:
    """The complete checkpoint that was finished last; None if there is none."""
    finished = []
    for path in folder.glob(f"*/chk-*/{METADATA}"):
        with suppress(FileNotFoundError):  # Flink drops older ones
            finished.append((path.stat().st_mtime_ns, path.parent))
    return max(finished)[1] if finished else None


def drop_older_jobs(folder: Path, keep: Path | None) -> None:
    """Remove the checkpoints of earlier jobs, except that of `keep`."""
    for job in folder.glob("*"):
        if job.is_dir() and (keep is None or job != keep.parent):
            shutil.rmtree(job, ignore_errors=True)
