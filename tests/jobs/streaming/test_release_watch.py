"""The job takes another champion without a restart, and refuses a broken one."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from headrace.errors import ReleaseError
from headrace.release.bundle import USER_TOWER
from jobs.streaming.release_watch import ReleaseWatch
from tests.small_release import item_names, tiny_retrieval_bundle


def test_another_live_release_is_taken_while_the_job_runs(tmp_path: Path) -> None:
    first = tiny_retrieval_bundle(tmp_path / "first", items=item_names(5), seed=1)
    second = tiny_retrieval_bundle(tmp_path / "second", items=item_names(5), seed=2)
    live = [first.folder]
    watch = ReleaseWatch(lambda: live[0])
    assert watch.current().release_id == first.release_id
    live[0] = second.folder
    watch.check()
    assert watch.current().release_id == second.release_id


def test_a_changed_bundle_is_refused_and_the_old_one_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = tiny_retrieval_bundle(tmp_path / "first", items=item_names(5), seed=1)
    broken = tiny_retrieval_bundle(tmp_path / "broken", items=item_names(5), seed=2)
    with broken.path(USER_TOWER).open("ab") as stream:
        stream.write(b"!")
    live = [first.folder]
    watch = ReleaseWatch(lambda: live[0])
    live[0] = broken.folder
    with caplog.at_level(logging.WARNING):
        watch.check()
        watch.check()
    assert watch.current().release_id == first.release_id
    assert len(caplog.records) == 1
    assert f"file '{USER_TOWER}' was changed" in caplog.text


def test_the_job_does_not_start_on_a_broken_bundle(tmp_path: Path) -> None:
    release = tiny_retrieval_bundle(tmp_path / "broken", items=item_names(5))
    release.path(USER_TOWER).unlink()
    with pytest.raises(ReleaseError, match="is missing"):
        ReleaseWatch(lambda: release.folder)
