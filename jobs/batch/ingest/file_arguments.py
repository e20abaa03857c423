"""Arguments of the commands that read a user's files: which files, which names, when they were received."""

from __future__ import annotations

import argparse
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.tables import end_of

if TYPE_CHECKING:
    from jobs.batch.ingest.files_job import Inputs


def add_file_arguments(parser: argparse.ArgumentParser) -> Any:
    """`--day`, and an argument group, which is returned: the files and how to read them."""
    parser.add_argument("--day", type=date.fromisoformat, required=True, help="last day that counts (UTC)")
    files = parser.add_argument_group("ingest")
    for name in ("events", "items", "users"):
        files.add_argument(
            f"--{name}",
            type=Path,
            nargs="+",
            action="extend",
            default=[],
            metavar="FILE",
            help=f"files or folders of {name}",
        )
    files.add_argument(
        "--map", type=_pair, action="append", default=[], metavar="THEIRS=OURS", help="another name of a column"
    )
    files.add_argument(
        "--separator",
        type=separator,
        metavar="CHARACTER",
        help="separator of CSV files: a character, or `tab` (default: detected in each header)",
    )
    files.add_argument("--received-at", type=moment, help="receiver's clock for files (default: the end of --day)")
    return files


def inputs_of(given: argparse.Namespace) -> Inputs:
    """The files and names given."""
    from jobs.batch.ingest.files_job import Inputs

    return Inputs(given.events, given.items, given.users, dict(given.map), given.separator or "")


def received_at(given: argparse.Namespace) -> datetime:
    """The receiver's clock: as given, or the end of the day."""
    return given.received_at or end_of(given.day)


def moment(text: str) -> datetime:
    """A time as UTC; one without a zone is UTC."""
    parsed = datetime.fromisoformat(text)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def separator(text: str) -> str:
    """The character that `--separator` names. Raises ArgumentTypeError for what cannot separate fields."""
    character = "\t" if text.lower() in ("tab", "\\t") else text
    if len(character) != 1 or not character.isascii() or character in '"\r\n':
        raise argparse.ArgumentTypeError(f"{text!r} is neither a single character nor `tab`")
    return character


def _pair(text: str) -> tuple[str, str]:
    theirs, equals, ours = text.partition("=")
    if not (theirs and equals and ours):
        raise argparse.ArgumentTypeError(f"{text!r} is not THEIRS=OURS")
    return theirs, ours
