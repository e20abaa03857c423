"""Which release is live: the registry's alias, or a folder, resolved to a bundle on this machine."""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path

import httpx

from headrace.errors import ReleaseError, ServiceError
from headrace.release.bundle import MANIFEST, Manifest, read_manifest
from headrace.release.download import bring_bundle
from headrace.settings import Settings

RELEASE_ID_TAG = "release_id"
"""Tag of a registered model version that names its bundle."""
ARTIFACT_FOLDER = "release"
"""Folder of the bundle among the artifacts of its run."""
BACKTEST_FOLDER = "backtest"
"""Folder of the release's backtest bundle, likewise."""
_REGISTRY_TIMEOUT_S = 3.0


def resolve_release(settings: Settings) -> Path:
    """Folder of the bundle that `settings.serving.release` names: a folder, or an alias of the registry.

    A release that is not on this machine, or not whole, is downloaded from the registry. While the registry is
    unavailable, the last known release of the alias (stored in `<home>/releases/<alias>.json`) is used. Raises
    ReleaseError or ServiceError. Blocking.
    """
    named = settings.serving.release
    if "/" in named or Path(named).is_dir():
        return Path(named).expanduser().resolve()
    try:
        release_id, run_id = _registered(settings, named)
    except httpx.HTTPError as error:
        last = _last_known(settings, named)
        if last is None:
            raise ServiceError(
                f"the model registry at {settings.mlflow.tracking_uri} is not reachable ({type(error).__name__})",
                "Start it with `headrace up`, or name a release's folder in HEADRACE_SERVING__RELEASE",
            ) from None
        return last
    folder = bring_release(settings, run_id, release_id)
    remember_alias(settings, named, release_id)
    return folder


def bring_release(settings: Settings, run_id: str, release_id: str) -> Path:
    """Folder of a registered bundle on this machine, downloaded from its run where it is not here and whole."""
    return bring_bundle(settings, run_id, settings.releases / release_id, ARTIFACT_FOLDER)


def bring_backtest(settings: Settings, run_id: str, release_id: str) -> Path:
    """Folder of a registered release's backtest bundle, likewise."""
    return bring_bundle(settings, run_id, settings.backtests / release_id, BACKTEST_FOLDER)


def alias_file(settings: Settings, alias: str) -> Path:
    """Where the release that an alias named last is remembered."""
    return settings.releases / f"{alias}.json"


def remember_alias(settings: Settings, alias: str, release_id: str) -> None:
    """Note which release an alias names; running services see the change within seconds."""
    file = alias_file(settings, alias)
    text = json.dumps({"release_id": release_id})
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{uuid.uuid4().hex}.partial")  # several processes note it at once
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)


def _last_known(settings: Settings, alias: str) -> Path | None:
    try:
        release_id = str(json.loads(alias_file(settings, alias).read_text(encoding="utf-8"))["release_id"])
    except (OSError, ValueError, KeyError):
        return None
    folder = settings.releases / release_id
    return folder if (folder / MANIFEST).exists() else None


def _registered(settings: Settings, alias: str) -> tuple[str, str]:
    """(release id, run id) of the model version that `alias` names."""
    name = settings.mlflow.model_name
    answer = httpx.get(
        f"{settings.mlflow.tracking_uri}/api/2.0/mlflow/registered-models/alias",
        params={"name": name, "alias": alias},
        timeout=_REGISTRY_TIMEOUT_S,
    )
    if answer.status_code in (400, 404):
        raise ReleaseError(f"no release of '{name}' has the alias '{alias}'", "Build one with `headrace run daily`")
    version = answer.raise_for_status().json()["model_version"]
    tags = {tag["key"]: tag["value"] for tag in version.get("tags", [])}
    if RELEASE_ID_TAG not in tags:
        raise ReleaseError(
            f"version {version['version']} of '{name}' carries no tag '{RELEASE_ID_TAG}'",
            "Register releases with `headrace run daily` only",
        )
    return tags[RELEASE_ID_TAG], version["run_id"]


def local_releases(settings: Settings) -> list[Manifest]:
    """Manifests of the bundles on this machine, newest first; one that cannot be read is left out with a warning."""
    manifests = []
    for path in settings.releases.glob(f"*/{MANIFEST}"):
        try:
            manifests.append(read_manifest(path.parent))
        except ReleaseError as error:
            print(error, file=sys.stderr)
    return sorted(manifests, key=lambda manifest: manifest.created_at, reverse=True)
