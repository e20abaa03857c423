"""Moving the champion by hand: forth, back, and not at all."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from headrace.errors import ReleaseError, ServiceError
from headrace.release.bundle import Release, seal_release
from headrace.release.registry import alias_file
from headrace.settings import Settings
from models.promotion import promote, rollback
from models.release.registry import CHAMPION, Registry

NEEDED = ("items.arrow", "vocabularies.json", "item_embeddings.npy", "user_tower.onnx", "popular.arrow")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("promotion")
    return Settings(home=home, mlflow={"tracking_uri": f"sqlite:///{home / 'mlflow.db'}"})


@pytest.fixture(autouse=True)
def artifacts(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(settings.home_folder)  # MLflow keeps artifacts of a file registry in the working folder


def registered(settings: Settings, content: str, **tags: str) -> Release:
    """A bundle of that content, logged and registered."""
    folder = settings.releases / content
    folder.mkdir(parents=True)
    for name in NEEDED:
        (folder / name).write_text(content)
    as_of = datetime(2026, 11, 22, tzinfo=UTC)
    sealed = seal_release(folder, stage="retrieval", as_of=as_of, code_version="c", seed=7, tables={}, settings={})
    release = Release(folder.rename(settings.releases / sealed.release_id), sealed.manifest)
    Registry(settings.mlflow).log_release(release, [], tags)
    return release


def artifacts_of(settings: Settings, release: Release) -> Path:
    """The bundle in the registry: `…/<run id>/artifacts/release`."""
    version = Registry(settings.mlflow).version_of(release.release_id)
    assert version is not None
    (folder,) = settings.home_folder.glob(f"mlruns/*/{version.run_id}/artifacts/release")
    return folder


def live(settings: Settings) -> str:
    """The release that the alias names, in the registry and in what running services look at."""
    champion = Registry(settings.mlflow).champion()
    assert champion is not None
    assert json.loads(alias_file(settings, CHAMPION).read_text()) == {"release_id": champion.release_id}
    return champion.release_id


def test_rolling_back_goes_the_way_that_promotions_came_and_keeps_the_reasons(settings: Settings):
    first, second, third = (registered(settings, name).release_id for name in ("first", "second", "third"))
    with pytest.raises(ReleaseError, match="there is no champion"):
        rollback(settings, "")
    for release_id in (first, second, third, third):
        promote(settings, release_id, f"{release_id} is better")
        assert live(settings) == release_id
    for release_id in (second, first):
        rollback(settings, "clicks fell")
        assert live(settings) == release_id
    with pytest.raises(ReleaseError, match=f"'{first}' replaced no earlier champion"):
        rollback(settings, "")
    import mlflow

    kept = mlflow.MlflowClient(settings.mlflow.tracking_uri).get_model_version("headrace", "3").tags
    assert kept["replaced"] == "2"
    assert kept["promoted"].endswith(f"UTC: {third} is better")
    assert kept["rolled_back"].endswith("UTC: clicks fell")


def test_a_person_moves_champion_and_anchor_and_a_daily_promotion_only_the_champion(settings: Settings):
    registry = Registry(settings.mlflow)
    by_hand, daily = (registered(settings, name).release_id for name in ("by hand", "daily"))
    number = promote(settings, by_hand, "").number
    newer = registry.version_of(daily)
    assert newer is not None
    registry.promote(newer.number, "freshness", anchor=False)
    assert [each.release_id for each in (registry.champion(), registry.anchor()) if each] == [daily, by_hand]
    rollback(settings, "clicks fell")
    assert [each.number for each in (registry.champion(), registry.anchor()) if each] == [number, number]


def test_a_refused_release_goes_live_only_with_a_reason_which_is_kept(settings: Settings):
    refused = registered(settings, "slow", refusal="latency is worse: +30.0%, limit ±20%").release_id
    with pytest.raises(ReleaseError, match=r"refused by its gates: latency is worse.*--override REASON"):
        promote(settings, refused, "please")
    number = promote(settings, refused, "", "the new machines are faster").number
    assert live(settings) == refused
    import mlflow

    kept = mlflow.MlflowClient(settings.mlflow.tracking_uri).get_model_version("headrace", number).tags
    assert kept["overridden"].endswith("UTC: the new machines are faster")


def test_what_serving_would_refuse_does_not_become_champion(settings: Settings):
    good = registered(settings, "good").release_id
    promote(settings, good, "")
    changed = registered(settings, "changed")
    changed.path("items.arrow").write_text("other")
    (artifacts_of(settings, changed) / "items.arrow").write_text("other")
    with pytest.raises(ReleaseError, match=r"'items\.arrow' was changed"):
        promote(settings, changed.release_id, "")
    refused = registered(settings, "refused", refusal="recall is 0.1, expected at least 0.2")
    with pytest.raises(ReleaseError, match="refused by its gates: recall is"):
        promote(settings, refused.release_id, "")
    with pytest.raises(ReleaseError, match="'nobody' is not registered"):
        promote(settings, "nobody", "")
    assert live(settings) == good


def test_a_changed_copy_of_a_whole_release_is_replaced_by_it(settings: Settings):
    release = registered(settings, "whole")
    release.path("items.arrow").write_text("other")
    promote(settings, release.release_id, "")
    assert live(settings) == release.release_id
    assert release.path("items.arrow").read_text() == "whole"


def test_a_release_of_another_machine_is_downloaded_first(settings: Settings):
    release = registered(settings, "elsewhere")
    shutil.rmtree(release.folder)
    promote(settings, release.release_id, "")
    assert live(settings) == release.release_id
    assert release.path("items.arrow").read_text() == "elsewhere"


def test_a_release_whose_artifacts_are_gone_is_named_with_its_run(settings: Settings):
    release = registered(settings, "gone")
    shutil.rmtree(release.folder)
    gone = artifacts_of(settings, release)
    shutil.rmtree(gone)
    run_id = gone.parts[-3]
    with pytest.raises(ServiceError, match=f"{release.release_id} cannot be downloaded from MLflow run {run_id}"):
        promote(settings, release.release_id, "")
