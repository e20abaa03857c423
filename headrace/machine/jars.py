"""Jars that are in no wheel: their folder, and which are missing. `python -m infra.local.jars` downloads them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.settings import PROJECT_ROOT

IVY_FILE = PROJECT_ROOT / "infra" / "local" / "ivy.xml"
"""Names and versions of the jars, one configuration an engine."""
ENGINES = ("kafka", "flink", "spark")
STAMP = "complete"
"""File in the jars' folder with the hash of the `ivy.xml` they were downloaded for."""
HINT = "Run `python -m infra.local.jars` (or `make up`) to download them"


def ivy_hash() -> str:
    """SHA-256 of the list of jars."""
    return hashlib.sha256(IVY_FILE.read_bytes()).hexdigest()


def missing_jars(folder: Path) -> str:
    """What is missing below `folder`, as a phrase; empty if all engines' jars are there."""
    try:
        stamp = (folder / STAMP).read_text(encoding="utf-8").split()
    except OSError:
        return f"{folder} has no complete set of jars"
    if stamp[:1] != [ivy_hash()]:
        return f"the jars in {folder} are of another infra/local/ivy.xml"
    gone = [name for name in stamp[1:] if not (folder / name).exists()]
    return f"{folder / gone[0]} is missing" if gone else ""


def engine_jars(folder: Path, engine: str) -> list[Path]:
    """Jars of one engine, sorted by name. Raises HeadraceError if there are none."""
    jars = sorted((folder / engine).glob("*.jar"))
    if not jars:
        raise HeadraceError(f"No jars of {engine} in {folder / engine}", HINT)
    return jars
