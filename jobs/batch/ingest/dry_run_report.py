"""The table that a dry run of an import prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Refused:
    """Rows refused for one reason."""

    rows: int
    samples: Sequence[str]
    """Messages that name file, row and field."""


@dataclass(frozen=True)
class Forecast:
    """What an import would do with the files of one kind; rows = accepted + repeating + refused."""

    kind: str
    """events, items or users."""
    files: int = 0
    """Files read."""
    skipped: Sequence[str] = ()
    """Names of files that are already imported: the import would skip them."""
    rows: int = 0
    accepted: int = 0
    refused: Mapping[str, Refused] = field(default_factory=dict)
    """By reason, most rows first."""
    repeating: int = 0
    """Valid events whose id another event of these files has: only the first of them is kept."""
    repeated: Mapping[str, int] = field(default_factory=dict)
    """Some of those ids, with the number of their rows."""
    unknown: Mapping[str, int] = field(default_factory=dict)
    """Columns outside the contract, with the number of rows that have a value there."""


def nothing_to_import(forecasts: Sequence[Forecast]) -> bool:
    """Whether no row would be accepted, though not all files were imported before."""
    return not any(each.accepted for each in forecasts) and any(each.files for each in forecasts)


def report(forecasts: Sequence[Forecast]) -> str:
    """The table as text, a block for each kind of file."""
    return "\n\n".join("\n".join(_block(each)) for each in forecasts)


def _block(forecast: Forecast) -> Iterator[str]:
    yield f"{forecast.kind}: {forecast.files:,} {'file' if forecast.files == 1 else 'files'}, {forecast.rows:,} rows"
    if forecast.skipped:
        yield f"  already imported, would be skipped: {', '.join(forecast.skipped)}"
    refused = sum(each.rows for each in forecast.refused.values())
    yield _line("would be accepted", forecast.accepted)
    yield _line("would be refused", refused)
    for reason, rows in forecast.refused.items():
        yield _line(f"  {reason}", rows.rows, rows.samples[0] if rows.samples else "")
        yield from (_line("", None, sample) for sample in rows.samples[1:])
    if forecast.repeating:
        ids = ", ".join(f"{event_id} ({times:,} rows)" for event_id, times in forecast.repeated.items())
        yield _line("repeat an event_id", forecast.repeating, f"the first of each is kept: {ids}")
    if forecast.unknown:
        columns = ", ".join(f"{name} ({rows:,} rows)" for name, rows in forecast.unknown.items())
        yield f"  columns outside the contract, kept but not used: {columns}"


def _line(name: str, rows: int | None, example: str = "") -> str:
    count = "" if rows is None else f"{rows:,}"
    return f"  {name:<24}{count:>13}  {example}".rstrip()
