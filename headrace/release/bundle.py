"""The release bundle: one folder with all files that serving needs, one content hash, loaded whole or refused.

`seal_release` writes the manifest last; `open_release` checks every file against it and refuses the bundle whole if one
is missing, changed or added. Nothing in a bundle is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from headrace.errors import ReleaseError

FORMAT_VERSION = 1
MANIFEST = "manifest.json"

ITEMS = "items.arrow"
"""Arrow IPC file: one row per item: description, states, features (see `item_table`); row number = item row."""
VOCABULARIES = "vocabularies.json"
"""Values by name, most frequent first: `event_types`, `category_1` … `maker`, and `profile.<key>`; code 0 = unknown."""
ITEM_EMBEDDINGS = "item_embeddings.npy"
"""float32 [items, embedding_size]; the last dimension is the item's popularity prior."""
INDEX = "scann"
"""Folder of the ScaNN searcher over the item embeddings."""
USER_TOWER = "user_tower.onnx"
USER_TOWER_SAVED_MODEL = "user_tower"
RANKER = "ranker.onnx"
RANKER_INT8 = "ranker_int8.onnx"
"""The same with int8 weights; missing where its lists would differ, and in older releases."""
RANKER_SAVED_MODEL = "ranker"
RANKER_SCHEMA = "ranker_schema.json"
"""Names and order of the ranker's inputs, which must equal `headrace.features.ranking`; `calibration`: the slope and
offset in its graph that make log odds of its scores."""
POPULAR = "popular.arrow"
"""Arrow IPC file: `list` ("" = all, else a category_1 value), `rank` from 1, `item_row`."""
NEIGHBOURS = "neighbours.arrow"
"""Arrow IPC file: `item_row`, `neighbour_row`, `weight`: weight of an item for others (above 0) or against them."""
EVALUATION = "evaluation.json"

_RETRIEVAL_FILES = (ITEMS, VOCABULARIES, ITEM_EMBEDDINGS, USER_TOWER, POPULAR)
_FULL_FILES = (*_RETRIEVAL_FILES, RANKER, RANKER_SCHEMA, EVALUATION)


class FileEntry(BaseModel):
    """One file of a bundle."""

    sha256: str
    bytes: int


class Manifest(BaseModel):
    """What a bundle is, what it was made of and what is in it."""

    model_config = ConfigDict(extra="forbid")

    format_version: int = FORMAT_VERSION
    release_id: str
    """`<day>-<first 12 digits of the content hash>`."""
    stage: Literal["retrieval", "full"]
    """`retrieval`: towers and index only, an intermediate of training; `full`: with ranker and evaluation."""
    as_of: datetime
    """The release was trained on events before this time."""
    created_at: datetime
    code_version: str
    """Commit of the code, with `+changes` where the tree was not clean."""
    seed: int
    tables: dict[str, int]
    """Delta version of each table it was trained on."""
    settings: dict[str, Any]
    """Feature and training settings."""
    content_hash: str
    files: dict[str, FileEntry]


@dataclass(frozen=True)
class Release:
    """An opened, verified bundle."""

    folder: Path
    manifest: Manifest

    @property
    def release_id(self) -> str:
        """Id that every online vector made by this release carries."""
        return self.manifest.release_id

    def path(self, name: str) -> Path:
        """Path of a file or folder of the bundle."""
        return self.folder / name

    def json(self, name: str) -> Any:
        """Content of one of its JSON files."""
        return json.loads(self.path(name).read_text(encoding="utf-8"))


def seal_release(
    folder: Path,
    *,
    stage: Literal["retrieval", "full"],
    as_of: datetime,
    code_version: str,
    seed: int,
    tables: dict[str, int],
    settings: dict[str, Any],
    created_at: datetime | None = None,
) -> Release:
    """Hash every file below `folder`, write the manifest and return the release.

    Raises ReleaseError if a file that the stage needs is missing.
    """
    files = {name: _entry(folder / name) for name in _file_names(folder) if name != MANIFEST}
    content_hash = _content_hash(files)
    manifest = Manifest(
        release_id=f"{as_of:%Y%m%d}-{content_hash[:12]}",
        stage=stage,
        as_of=as_of,
        created_at=created_at or datetime.now(UTC),
        code_version=code_version,
        seed=seed,
        tables=tables,
        settings=settings,
        content_hash=content_hash,
        files=files,
    )
    _require_files(folder, manifest)
    partial = folder / f".{MANIFEST}.partial"
    partial.write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
    partial.replace(folder / MANIFEST)
    return Release(folder, manifest)


def open_release(folder: Path) -> Release:
    """The verified release in `folder`.

    Raises ReleaseError naming the first file that is missing, changed or not in the manifest.
    """
    manifest = read_manifest(folder)
    found = set(_file_names(folder)) - {MANIFEST}
    if missing := sorted(set(manifest.files) - found):
        raise ReleaseError(f"release {manifest.release_id}: file '{missing[0]}' is missing", _HINT)
    if added := sorted(found - set(manifest.files)):
        raise ReleaseError(f"release {manifest.release_id}: file '{added[0]}' is not in its manifest", _HINT)
    for name, entry in manifest.files.items():
        if _entry(folder / name) != entry:
            raise ReleaseError(f"release {manifest.release_id}: file '{name}' was changed", _HINT)
    if _content_hash(manifest.files) != manifest.content_hash:
        raise ReleaseError(f"release {manifest.release_id}: the manifest's content hash is wrong", _HINT)
    _require_files(folder, manifest)
    return Release(folder, manifest)


def read_manifest(folder: Path) -> Manifest:
    """The manifest in `folder`, without checking the files. Raises ReleaseError if it cannot be read."""
    try:
        text = (folder / MANIFEST).read_text(encoding="utf-8")
    except OSError:
        raise ReleaseError(
            f"{folder} holds no release: {MANIFEST} is missing", "Build one with `headrace run daily`"
        ) from None
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        raise ReleaseError(f"{folder / MANIFEST}: {error.errors()[0]['msg']}", _HINT) from None
    if manifest.format_version != FORMAT_VERSION:
        raise ReleaseError(
            f"release {manifest.release_id} has format {manifest.format_version}, expected {FORMAT_VERSION}",
            "Build it again with this version of Headrace",
        )
    return manifest


_HINT = "Download the release again or roll back to another one"


def _require_files(folder: Path, manifest: Manifest) -> None:
    needed = _FULL_FILES if manifest.stage == "full" else _RETRIEVAL_FILES
    if missing := [name for name in needed if name not in manifest.files]:
        raise ReleaseError(f"{folder}: a {manifest.stage} release needs '{missing[0]}'", _HINT)


def _file_names(folder: Path) -> Iterable[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _entry(path: Path) -> FileEntry:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return FileEntry(sha256=digest, bytes=path.stat().st_size)


def _content_hash(files: dict[str, FileEntry]) -> str:
    lines = "".join(f"{name} {entry.sha256}\n" for name, entry in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
