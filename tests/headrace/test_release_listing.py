"""`headrace release list|show` beside the real registry, and without it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from headrace.release import Release, seal_release
from headrace.release_listing import show_all, show_one
from headrace.releases import RELEASE_ID_TAG
from headrace.settings import Settings

NEEDED = ("items.arrow", "vocabularies.json", "item_embeddings.npy", "user_tower.onnx", "popular.arrow")


def make_release(settings: Settings, name: str) -> Release:
    folder = settings.releases / name
    folder.mkdir(parents=True)
    for file in NEEDED:
        (folder / file).write_text(name)
    (folder / "evaluation.json").write_text(json.dumps({"all": {"ndcg@20": 0.25}}))
    release = seal_release(
        folder,
        stage="retrieval",
        as_of=datetime(2026, 11, 22, tzinfo=UTC),
        code_version="abc",
        seed=7,
        tables={"silver/events": 3},
        settings={},
    )
    return Release(folder.rename(settings.releases / release.release_id), release.manifest)


def register(address: str, model: str, release: Release, alias: str) -> None:
    def call(method: str, **body: object) -> dict[str, dict[str, str]]:
        return httpx.post(f"{address}/api/2.0/mlflow/{method}", json=body).raise_for_status().json()

    call("registered-models/create", name=model)
    tags = [{"key": RELEASE_ID_TAG, "value": release.release_id}]
    version = call("model-versions/create", name=model, source="file:///nowhere", tags=tags) if False else None
    del version


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, mlflow={"tracking_uri": "http://127.0.0.1:9"})


def shown(show, *arguments) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        show(*arguments, console)
    return capture.get()
