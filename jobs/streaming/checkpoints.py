"""Where the job left off: the newest complete checkpoint in the home folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from headrace.settings import Settings

METADATA = "_metadata"
"""Flink writes this file last: a checkpoint with it is complete."""


def checkpoint_folder(settings: Settings) -> Path:
    """Folder of all checkpoints: `<job id>/chk-<number>`."""
    return settings.home_folder / "flink" / "checkpoints"


def newest_checkpoint(folder: Path) -> Path | None:
    """The complete checkpoint that was finished last; None if there is none."""
    finished = [(path.stat().st_mtime_ns, path.parent) for path in folder.glob(f"*/chk-*/{METADATA}")]
    return max(finished)[1] if finished else None


def drop_older_jobs(folder: Path, keep: Path | None) -> None:
    """Remove what earlier runs left behind, but the job that `keep` belongs to."""
    for job in folder.glob("*"):
        if job.is_dir() and (keep is None or job != keep.parent):
            shutil.rmtree(job, ignore_errors=True)
