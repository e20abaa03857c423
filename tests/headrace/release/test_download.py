"""A registered bundle is on this machine whole, however many want it at once and whatever became of an earlier copy."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
import pytest

from headrace.errors import ServiceError
from headrace.release.bundle import ITEMS, USER_TOWER, Release, open_release
from headrace.release.download import RETRY_S
from headrace.release.registry import ARTIFACT_FOLDER, alias_file, bring_release, remember_alias
from headrace.settings import Settings
from tests.small_release import item_names, tiny_retrieval_bundle


@pytest.fixture
def settings(services: Settings, tmp_path: Path) -> Settings:
    """The running registry, and a machine without bundles."""
    return services.model_copy(update={"home": tmp_path / "home"})


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return tiny_retrieval_bundle(tmp_path_factory.mktemp("release") / "bundle", items=item_names(5))


@pytest.fixture
def registry(services: Settings) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(services.mlflow.tracking_uri)


@pytest.fixture
def run_id(registry: mlflow.MlflowClient, release: Release) -> str:
    """A run with the bundle."""
    run_id = new_run(registry)
    registry.log_artifacts(run_id, str(release.folder), ARTIFACT_FOLDER)
    return run_id


def new_run(registry: mlflow.MlflowClient) -> str:
    return str(registry.create_run("0").info.run_id)


def test_a_download_that_failed_is_not_tried_again_by_everybody_at_once(
    settings: Settings, registry: mlflow.MlflowClient, release: Release
) -> None:
    run_id = new_run(registry)

    def bring() -> Path:
        return bring_release(settings, run_id, release.release_id)

    with pytest.raises(ServiceError, match="cannot be downloaded"):
        bring()
    registry.log_artifacts(run_id, str(release.folder), ARTIFACT_FOLDER)
    with pytest.raises(ServiceError, match="cannot be downloaded"):
        bring()
    lock = settings.releases / f".{release.release_id}.lock"
    then = lock.stat().st_mtime - RETRY_S
    os.utime(lock, (then, then))
    assert open_release(bring()).release_id == release.release_id


def test_four_who_want_a_new_release_at_once_all_get_it_and_what_a_killed_download_left_is_gone(
    settings: Settings, run_id: str, release: Release
) -> None:
    left = settings.releases / f".{release.release_id}.killed.partial"
    left.mkdir(parents=True)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(bring_release, settings, run_id, release.release_id) for _ in range(4)]
    assert {each.result() for each in asked} == {settings.releases / release.release_id}
    assert open_release(settings.releases / release.release_id).manifest == release.manifest
    assert sorted(path.name for path in settings.releases.iterdir()) == [
        f".{release.release_id}.lock",
        release.release_id,
    ]


def test_a_bundle_that_lost_a_file_or_holds_a_changed_one_is_downloaded_again(
    settings: Settings, run_id: str, release: Release
) -> None:
    folder = bring_release(settings, run_id, release.release_id)
    (folder / ITEMS).unlink()
    (folder / USER_TOWER).write_bytes(b"changed")
    assert open_release(bring_release(settings, run_id, release.release_id)).manifest == release.manifest


def test_many_may_note_at_once_which_release_an_alias_names(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: remember_alias(settings, "champion", str(number % 7)), range(400)))
    assert [path.name for path in settings.releases.iterdir()] == ["champion.json"]
    assert json.loads(alias_file(settings, "champion").read_text()).keys() == {"release_id"}
