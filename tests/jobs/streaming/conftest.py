"""A small release and its tower, made once."""

from __future__ import annotations

import pytest

from headrace.release.bundle import Release
from jobs.streaming.live_users import ReleaseTower
from jobs.streaming.release_watch import load_tower
from tests.small_release import item_names, tiny_retrieval_bundle


@pytest.fixture(scope="session")
def small_release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return tiny_retrieval_bundle(tmp_path_factory.mktemp("release") / "small", items=item_names(20))


@pytest.fixture(scope="session")
def tower(small_release: Release) -> ReleaseTower:
    return load_tower(small_release.folder)
