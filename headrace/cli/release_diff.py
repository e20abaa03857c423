"""`headrace release diff`: differences between two local bundles: data, code, settings, quality and size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from headrace.cli.release_listing import bundle_folder, evaluation_numbers
from headrace.release.bundle import Manifest, read_manifest
from headrace.settings import Settings

_NONE = "–"


def show_difference(settings: Settings, one: str, other: str, console: Console) -> None:
    """Print what differs between two releases, each an id or an alias. Raises BadInputError if one is not here."""
    folders = [bundle_folder(settings, name) for name in (one, other)]
    manifests = [read_manifest(folder) for folder in folders]
    sides = [
        {**_statistics(manifest), **{f"quality {name}": value for name, value in evaluation_numbers(folder).items()}}
        for manifest, folder in zip(manifests, folders, strict=True)
    ]
    table = Table("", *(manifest.release_id for manifest in manifests), "change")
    for name, left, right in differences(*sides):
        table.add_row(escape(name), escape(_shown(left)), escape(_shown(right)), change(left, right))
    if table.row_count:
        console.print(table)
    else:
        console.print("Nothing differs.")


def differences(left: dict[str, Any], right: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """(name, left, right) of each value that is not equal on both sides, None where one side has none."""
    for name in dict.fromkeys((*left, *right)):
        if left.get(name) != right.get(name):
            yield name, left.get(name), right.get(name)


def change(left: Any, right: Any) -> str:
    """From left to right in per cent, for numbers."""
    numbers = [value for value in (left, right) if isinstance(value, int | float) and not isinstance(value, bool)]
    return f"{(right - left) / abs(left):+.1%}" if len(numbers) == 2 and left else ""


def _statistics(manifest: Manifest) -> dict[str, Any]:
    return {
        "as of": f"{manifest.as_of:%Y-%m-%d %H:%M}",
        "code": manifest.code_version,
        "seed": manifest.seed,
        **{f"version of {name}": version for name, version in manifest.tables.items()},
        **dict(_flat(manifest.settings, "")),
        **{f"bytes of {name}": entry.bytes for name, entry in manifest.files.items()},
    }


def _flat(values: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _shown(value: Any) -> str:
    if value is None:
        return _NONE
    return f"{value:.4g}" if isinstance(value, float) else str(value)
