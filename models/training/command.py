"""What the training commands share: `--day`, progress bars, JSON files, errors in one line."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from headrace.machine.last_resort import reporting_errors
from headrace.settings import Settings, load_settings


def day_command(
    module: str, description: str, run: Callable[[Settings, date], object], argv: Sequence[str] | None = None
) -> int:
    """Run `run` for the day named by `--day`; 0 if it worked, 1 with one sentence on stderr if not."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--day", type=date.fromisoformat, required=True, help="day of the gold tables, YYYY-MM-DD")
    day = parser.parse_args(argv).day
    return reporting_errors(lambda: run(load_settings(), day))


def progress_bars(*, quiet: bool = False) -> Progress:
    """Progress bars on stderr, so that stdout has only results; none if `quiet`, as beside another process's."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=quiet,
    )


@contextmanager
def native_messages_hidden() -> Iterator[None]:
    """Hide what native libraries print to stderr, bypassing Python; errors are still exceptions."""
    saved = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as readable JSON; folders are created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """An empty folder that replaces `folder` when the block ends without error; until then the old one is kept."""
    partial, old = folder.with_name(f".{folder.name}.partial"), folder.with_name(f".{folder.name}.old")
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
    finally:
        for leftover in (partial, old):
            shutil.rmtree(leftover, ignore_errors=True)
