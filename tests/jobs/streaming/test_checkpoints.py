"""Only a complete checkpoint is gone on from."""

from __future__ import annotations

import os
from pathlib import Path

from jobs.streaming.checkpoints import METADATA, drop_older_jobs, newest_checkpoint


def checkpoint(folder: Path, job: str, number: int, finished_at: int | None) -> Path:
    path = folder / job / f"chk-{number}"
    path.mkdir(parents=True)
    if finished_at is not None:
        (path / METADATA).touch()
        os.utime(path / METADATA, (finished_at, finished_at))
    return path


def test_the_newest_complete_checkpoint_of_any_run_is_found(tmp_path: Path) -> None:
    checkpoint(tmp_path, "a", 9, finished_at=100)
    newest = checkpoint(tmp_path, "b", 2, finished_at=200)
    checkpoint(tmp_path, "b", 3, finished_at=None)
    assert newest_checkpoint(tmp_path) == newest


def test_without_a_complete_checkpoint_there_is_none(tmp_path: Path) -> None:
    checkpoint(tmp_path, "a", 1, finished_at=None)
    assert newest_checkpoint(tmp_path) is None
    assert newest_checkpoint(tmp_path / "nowhere") is None


def test_earlier_runs_are_cleared_away_but_the_one_to_go_on_from(tmp_path: Path) -> None:
    checkpoint(tmp_path, "a", 1, finished_at=100)
    keep = checkpoint(tmp_path, "b", 1, finished_at=200)
    drop_older_jobs(tmp_path, keep)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
