"""`headrace release list|show` beside the real registry, and without it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from headrace.cli.release_diff import show_difference
from headrace.cli.release_listing import show_all, show_one
from headrace.errors import BadInputError
from headrace.release.bundle import Release, seal_release
from headrace.release.registry import RELEASE_ID_TAG
from headrace.settings import Settings
from models.training.run_log import add_to_run

NEEDED = ("items.arrow", "vocabularies.json", "item_embeddings.npy", "user_tower.onnx", "popular.arrow")


def make_release(settings: Settings, name: str, version: int = 3, ndcg: float = 0.25) -> Release:
    folder = settings.releases / name
    folder.mkdir(parents=True)
    for file in NEEDED:
        (folder / file).write_text(name)
    (folder / "evaluation.json").write_text(json.dumps({"all": {"ndcg@20": ndcg}}))
    release = seal_release(
        folder,
        stage="retrieval",
        as_of=datetime(2026, 11, 22, tzinfo=UTC),
        code_version="abc",
        seed=7,
        tables={"silver/events": version},
        settings={},
    )
    return Release(folder.rename(settings.releases / release.release_id), release.manifest)


def register(settings: Settings, release: Release, alias: str) -> None:
    """Register a release as training does: a run, a model version with the release's id, an alias."""

    def call(method: str, **body: object) -> dict[str, dict[str, dict[str, str]]]:
        address = f"{settings.mlflow.tracking_uri}/api/2.0/mlflow/{method}"
        return httpx.post(address, json=body, timeout=60).raise_for_status().json()

    name = settings.mlflow.model_name
    run = call("runs/create", experiment_id="0")["run"]["info"]
    call("registered-models/create", name=name)
    tags = [{"key": RELEASE_ID_TAG, "value": release.release_id}]
    source = f"{run['artifact_uri']}/release"
    made = call("model-versions/create", name=name, source=source, run_id=run["run_id"], tags=tags)
    call("registered-models/alias", name=name, alias=alias, version=made["model_version"]["version"])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, mlflow={"tracking_uri": "http://127.0.0.1:9"})


def shown(show, *arguments, width: int = 200) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        show(*arguments, console)
    return capture.get()


def test_list_shows_every_release_and_says_that_the_registry_is_away(settings):
    first, second = make_release(settings, "first"), make_release(settings, "second")
    text = shown(show_all, settings)
    assert first.release_id in text and second.release_id in text
    assert "The registry at http://127.0.0.1:9 is not reachable" in text


def test_ids_are_whole_in_a_narrow_terminal(settings):
    release = make_release(settings, "one")
    assert release.release_id in shown(show_all, settings, width=60)


def test_list_without_releases_says_how_to_build_one(settings):
    assert "No release in" in shown(show_all, settings)


def test_a_broken_manifest_does_not_hide_the_other_releases(settings, capsys):
    broken, whole = make_release(settings, "broken"), make_release(settings, "whole")
    broken.path("manifest.json").write_text("{")
    assert whole.release_id in shown(show_all, settings)
    assert str(broken.folder) in capsys.readouterr().err


def test_show_names_data_versions_and_quality_of_the_newest_release(settings):
    release = make_release(settings, "one")
    text = shown(show_one, settings, None)
    for expected in (release.release_id, "silver/events", "all.ndcg@20", "0.25", "complete and unchanged"):
        assert expected in text


def test_the_difference_of_two_releases_is_their_data_quality_and_files(settings):
    one, other = make_release(settings, "one"), make_release(settings, "another", version=5, ndcg=0.3)
    text = shown(show_difference, settings, one.release_id, other.release_id)
    rows = {line.split("│")[1].strip(): line.split("│")[2:5] for line in text.splitlines() if line.startswith("│")}
    assert [cell.strip() for cell in rows["version of silver/events"]] == ["3", "5", "+66.7%"]
    assert [cell.strip() for cell in rows["quality all.ndcg@20"]] == ["0.25", "0.3", "+20.0%"]
    assert [cell.strip() for cell in rows["bytes of items.arrow"]] == ["3", "7", "+133.3%"]
    assert "seed" not in rows
    assert "Nothing differs" in shown(show_difference, settings, one.release_id, one.release_id)
    with pytest.raises(BadInputError, match="'nobody' is not in"):
        show_difference(settings, "nobody", one.release_id, Console(quiet=True))


def test_show_tells_which_file_was_changed_and_fails(settings):
    release = make_release(settings, "one")
    assert show_one(settings, release.release_id, Console(quiet=True))
    release.path("items.arrow").write_text("other")
    assert not show_one(settings, release.release_id, Console(quiet=True))
    assert "refused: release" in shown(show_one, settings, release.release_id)
    assert "'items.arrow' was changed" in shown(show_one, settings, release.release_id)


def test_aliases_come_from_the_registry(services, tmp_path):
    mlflow = services.mlflow.model_copy(update={"model_name": "listed"})
    settings = Settings(home=tmp_path, mlflow=mlflow)
    nothing_registered = shown(show_all, settings)
    release = make_release(settings, "one")
    register(settings, release, "champion")
    assert "is not reachable" not in nothing_registered
    row = next(line for line in shown(show_all, settings).splitlines() if release.release_id in line)
    assert "champion" in row
    assert "champion" in shown(show_one, settings, release.release_id)


def test_an_evaluation_is_added_to_the_run_of_its_release(services, tmp_path):
    """Here, where a real registry runs anyway: what `headrace evaluate` logs is in the run, numbers and files."""
    address = f"{services.mlflow.tracking_uri}/api/2.0/mlflow"
    experiment = httpx.post(f"{address}/experiments/create", json={"name": "evaluated"}, timeout=60).json()
    tags = [{"key": RELEASE_ID_TAG, "value": "release-1"}]
    given = {"experiment_id": experiment["experiment_id"], "tags": tags}
    run = httpx.post(f"{address}/runs/create", json=given, timeout=60).json()["run"]["info"]["run_id"]
    (tmp_path / "evaluation.md").write_text("# how good")
    mlflow = services.mlflow.model_copy(update={"experiment": "evaluated"})
    assert add_to_run(mlflow, "release-1", tmp_path, {"evaluation.all.ndcg_at_20": 0.39}) == run
    assert add_to_run(mlflow, "release-2", tmp_path, {}) is None
    found = httpx.get(f"{address}/runs/get", params={"run_id": run}, timeout=60).json()["run"]["data"]["metrics"]
    assert [(metric["key"], metric["value"]) for metric in found] == [("evaluation.all.ndcg_at_20", 0.39)]
    files = httpx.get(f"{address}/artifacts/list", params={"run_id": run, "path": "evaluation"}, timeout=60).json()
    assert [file["path"] for file in files["files"]] == ["evaluation/evaluation.md"]
