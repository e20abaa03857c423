"""A home has one stream."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headrace.errors import ServiceError
from headrace.machine.stream_state import checkpoint_folder, state_in_use
from headrace.settings import Settings
from jobs.streaming.job import run_job


def test_a_second_stream_does_not_get_in_and_leaves_the_first_ones_checkpoints(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    kept = checkpoint_folder(settings) / "job" / "chk-1" / "_metadata"
    kept.parent.mkdir(parents=True)
    kept.touch()
    with state_in_use(settings), pytest.raises(ServiceError, match=rf"another stream \(process {os.getpid()}\)"):
        run_job(settings, "earliest", print)
    assert kept.exists()
    with state_in_use(settings):
        pass
