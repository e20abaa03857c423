"""A user's input files: discovery, format and identity (name and hash)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from headrace.errors import BadInputError
from jobs.batch.ingest.readers.text_lines import CODECS

FORMATS = {".csv": "csv", ".tsv": "csv", ".jsonl": "json", ".ndjson": "json", ".json": "json", ".parquet": "parquet"}
_NOT_GIVEN = "__HIVE_DEFAULT_PARTITION__"
"""Name that Hive and Spark give the partition folder of rows without a value."""


@dataclass(frozen=True)
class InputFile:
    """One file to import."""

    path: Path
    kind: str
    source: str
    """`file:<name>#<start of the content's hash>`: the same file again has the same source."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """Partition columns of the folder names (`shop=north/a.csv`), the same for every row."""


def find_files(paths: Iterable[Path]) -> list[InputFile]:
    """The files at `paths`; of a folder, every supported file in it. The same file twice counts once.

    Raises BadInputError for a path that does not exist or has no supported ending.
    """
    found: dict[str, InputFile] = {}
    for path in paths:
        if not path.exists():
            raise BadInputError(f"{path} does not exist", "Check the name, or the folder you are in")
        members = sorted(p for p in path.rglob("*") if _kind(p)) if path.is_dir() else [path]
        if not members or _kind(members[0]) is None:
            raise BadInputError(
                f"{path} has no CSV, JSON Lines or Parquet",
                f"Supported file endings: {', '.join(FORMATS)} (all except .parquet also with {', '.join(CODECS)})",
            )
        for file in map(_input_file, members):
            found.setdefault(file.source, file)
    return list(found.values())


def _input_file(path: Path) -> InputFile:
    folders = [part for part in path.parts[:-1] if part.partition("=")[0] and "=" in part]
    pairs = {unquote(name): unquote(text) for name, _, text in (folder.partition("=") for folder in folders)}
    constants = {name: text for name, text in pairs.items() if text and text != _NOT_GIVEN}
    name = "/".join([*folders, path.name])
    return InputFile(path, str(_kind(path)), f"file:{name}#{_content_hash(path)}", constants)


def _kind(path: Path) -> str | None:
    if not path.is_file() or path.name.startswith((".", "_")):
        return None
    compressed = path.suffix.lower() in CODECS
    kind = FORMATS.get(Path(path.stem if compressed else path.name).suffix.lower())
    return None if compressed and kind == "parquet" else kind


def _content_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
