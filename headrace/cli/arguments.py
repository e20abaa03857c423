"""What several commands share: options, days in UTC, and how a room is run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from headrace.cli.subprocesses import run_module
from headrace.settings import load_settings

Files = Annotated[
    list[Path], typer.Option(exists=True, help="CSV, JSON Lines or Parquet; may be given more than once.")
]
Mapping = Annotated[
    list[str], typer.Option("--map", metavar="THEIRS=OURS", help="Column of yours that is one of ours.")
]
Separator = Annotated[
    str,
    typer.Option(
        metavar="CHARACTER", help="Between the fields of CSV files: a character, or `tab`; else as each header says."
    ),
]


def today() -> datetime:
    """The midnight that began this day."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)


def yesterday() -> datetime:
    """The midnight that began the last whole day."""
    return today() - timedelta(days=1)


def room(module: str, *arguments: str) -> int:
    """Run a module as a child process; its exit code."""
    return run_module(module, arguments, load_settings())


def run_room(module: str, *arguments: str) -> None:
    """The same, and end with that code."""
    raise typer.Exit(room(module, *arguments))


def repeated(option: str, values: list[Any]) -> list[str]:
    """The option once for each value."""
    return [part for value in values for part in (option, str(value))]
