"""Only a complete checkpoint is gone on from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headrace.errors import ServiceError
from headrace.machine.stream_state import checkpoint_folder, state_in_use
from headrace.settings import Settings
from jobs.streaming.checkpoints import METADATA, drop_older_jobs, newest_checkpoint
from jobs.streaming.job import run_job


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


def test_a_second_stream_does_not_get_in_and_leaves_the_first_ones_checkpoints(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    kept = checkpoint(checkpoint_folder(settings), "a", 1, finished_at=100)
    with state_in_use(settings), pytest.raises(ServiceError, match=rf"another stream \(process {os.getpid()}\)"):
        run_job(settings, "earliest", print)
    assert newest_checkpoint(checkpoint_folder(settings)) == kept
    with state_in_use(settings):
        pass
