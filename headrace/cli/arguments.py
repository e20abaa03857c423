"""Shared by several commands: options, days in UTC, and how another package is run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from headrace.machine.subprocesses import run_module
from headrace.settings import load_settings

Files = Annotated[
    list[Path], typer.Option(exists=True, help="CSV, JSON Lines or Parquet; may be given more than once.")
]
Mapping = Annotated[
    list[str], typer.Option("--map", metavar="THEIRS=OURS", help="Your name of a column of the contract.")
]
Separator = Annotated[
    str,
    typer.Option(
        metavar="CHARACTER",
        help="Separator of the fields of CSV files: a character, or `tab`; default: detected in each header.",
    ),
]


def today() -> datetime:
    """Midnight at the start of the current day, UTC."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)


def yesterday() -> datetime:
    """Midnight at the start of the last complete day, UTC."""
    return today() - timedelta(days=1)


def run_subprocess(module: str, *arguments: str) -> int:
    """Run a module as a subprocess; returns its exit code."""
    return run_module(module, arguments, load_settings())


def run_and_exit(module: str, *arguments: str) -> None:
    """Run a module as a subprocess and end with its exit code."""
    raise typer.Exit(run_subprocess(module, *arguments))


def repeated(option: str, values: list[Any]) -> list[str]:
    """The option once for each value."""
    return [part for value in values for part in (option, str(value))]
