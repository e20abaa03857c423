"""`headrace release list|show`: local bundles and their entries in the registry."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from headrace.errors import BadInputError, ReleaseError
from headrace.release.bundle import EVALUATION, open_release, read_manifest
from headrace.release.registry import RELEASE_ID_TAG, local_releases
from headrace.settings import Settings

TIMEOUT_SECONDS = 3.0
BUILD_ONE = "Build one with `headrace run daily`"


def registry_aliases(settings: Settings) -> dict[str, list[str]] | None:
    """Aliases by release id, from the registry; None while it is not reachable."""
    name = settings.mlflow.model_name
    try:
        model = _ask(settings, "registered-models/get", {"name": name}).get("registered_model", {})
        found = _ask(settings, "model-versions/search", {"filter": f"name='{name}'"}).get("model_versions", [])
    except (httpx.HTTPError, ValueError):
        return None
    ids = {version["version"]: _tags(version).get(RELEASE_ID_TAG, "") for version in found}
    aliases: defaultdict[str, list[str]] = defaultdict(list)
    for entry in model.get("aliases", []):
        aliases[ids.get(str(entry["version"]), "")].append(entry["alias"])
    return dict(aliases)


def as_json(settings: Settings) -> str:
    """What `release list --json` prints; `aliases` is null while the registry is not reachable."""
    aliases = registry_aliases(settings)
    listed = [
        {
            **manifest.model_dump(mode="json", include={"release_id", "stage", "as_of", "created_at", "code_version"}),
            "aliases": None if aliases is None else aliases.get(manifest.release_id, []),
        }
        for manifest in local_releases(settings)
    ]
    return json.dumps(listed, indent=1)


def show_all(settings: Settings, console: Console) -> None:
    """Print the table of `release list`."""
    manifests = local_releases(settings)
    aliases = registry_aliases(settings)
    table = Table(Column("release", no_wrap=True), "alias", "as of (UTC)", "made (UTC)", "MiB", "code")
    for manifest in manifests:
        size = sum(entry.bytes for entry in manifest.files.values()) / 2**20
        table.add_row(
            manifest.release_id,
            "?" if aliases is None else ", ".join(aliases.get(manifest.release_id, [])),
            f"{manifest.as_of:%Y-%m-%d %H:%M}",
            f"{manifest.created_at:%Y-%m-%d %H:%M}",
            f"{size:.0f}",
            escape(manifest.code_version[:20]),
        )
    if manifests:
        console.print(table)
    else:
        console.print(f"No release in {settings.releases}. {BUILD_ONE}", soft_wrap=True)
    for release_id in sorted(set(aliases or ()) - {manifest.release_id for manifest in manifests}):
        console.print(
            f"{', '.join((aliases or {})[release_id])}: {release_id or 'unknown'} (in the registry, not here)"
        )
    if aliases is None:
        console.print(f"The registry at {settings.mlflow.tracking_uri} is not reachable: aliases are unknown.")


def show_one(settings: Settings, release_id: str | None, console: Console) -> bool:
    """Print one release, the newest if no id is given; whether it may be served. Raises BadInputError if not here."""
    folder = _folder(settings, release_id)
    manifest = read_manifest(folder)
    aliases = registry_aliases(settings)
    named = "unknown (no registry)" if aliases is None else ", ".join(aliases.get(manifest.release_id, [])) or "none"
    refused = _refusal(folder)
    table = Table(title=manifest.release_id, title_justify="left", show_header=False)
    rows: dict[str, Any] = {
        "folder": folder,
        "alias": named,
        "stage": manifest.stage,
        "as of": manifest.as_of,
        "made": manifest.created_at,
        "code": manifest.code_version,
        "seed": manifest.seed,
        **{f"version of {name}": version for name, version in manifest.tables.items()},
        **{name: value for name, value in manifest.settings.items() if not isinstance(value, dict)},
        **{name: f"{value:.4g}" for name, value in evaluation_numbers(folder).items()},
        "files": f"{len(manifest.files)}, {refused or 'complete and unchanged'}",
    }
    for name, value in rows.items():
        table.add_row(name, escape(str(value)))
    console.print(table)
    return not refused


def bundle_folder(settings: Settings, named: str) -> Path:
    """Folder of a release on this machine, by its id or by an alias. Raises BadInputError if it is not here."""
    by_alias = {alias: release_id for release_id, each in (registry_aliases(settings) or {}).items() for alias in each}
    return _folder(settings, by_alias.get(named, named))


def _folder(settings: Settings, release_id: str | None) -> Path:
    known = [manifest.release_id for manifest in local_releases(settings)]
    if release_id is None:
        if not known:
            raise BadInputError(f"no release in {settings.releases}", BUILD_ONE)
        release_id = known[0]
    if release_id not in known:
        raise BadInputError(f"release '{release_id}' is not in {settings.releases}", "See `headrace release list`")
    return settings.releases / release_id


def _refusal(folder: Path) -> str:
    """Why serving would refuse the bundle; empty if it would not."""
    try:
        open_release(folder)
    except ReleaseError as error:
        return f"refused: {error.problem}"
    return ""


def evaluation_numbers(folder: Path) -> dict[str, float]:
    """Numbers of the bundle's evaluation by name, groups joined with dots."""
    file = folder / EVALUATION
    return dict(_numbers(json.loads(file.read_text(encoding="utf-8")), "")) if file.exists() else {}


def _numbers(value: Any, prefix: str) -> list[tuple[str, float]]:
    if isinstance(value, dict):
        return [pair for name, inner in value.items() for pair in _numbers(inner, f"{prefix}.{name}".lstrip("."))]
    return [(prefix, value)] if isinstance(value, int | float) else []


def _ask(settings: Settings, method: str, query: dict[str, str]) -> dict[str, Any]:
    url = f"{settings.mlflow.tracking_uri}/api/2.0/mlflow/{method}"
    answer = httpx.get(url, params=query, timeout=TIMEOUT_SECONDS)
    if answer.status_code == httpx.codes.NOT_FOUND:  # nothing registered yet
        return {}
    body: dict[str, Any] = answer.raise_for_status().json()
    return body


def _tags(version: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in version.get("tags", [])}
