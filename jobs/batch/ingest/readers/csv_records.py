"""CSV records by RFC 4180: `""` is a quote, a backslash has no special meaning, quoted fields may have line breaks.

A record is numbered by its first line. A quote that is never closed, or closed in the middle of a field, makes its
line invalid: reading continues with the next one.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

from headrace.errors import BadInputError
from jobs.batch.ingest.readers.text_lines import LONGEST, has_invalid_utf8, is_cut, line_batches, opened

SEPARATORS = (",", ";", "\t", "|")
"""Separators that are tried where none is given: the first with which the header has the required column."""
Record = tuple[int, list[str] | None, list[str]]
"""Number of its first line, its fields (None where they cannot be parsed), and its lines."""


def header(path: Path, required: str, names: Mapping[str, str], separator: str) -> tuple[list[str], str]:
    """The file's column names and its separator: the one given, else the first that makes `required` a column.

    A column without a name is named by its position; an empty file has no columns. Raises BadInputError for a header
    that cannot be read.
    """
    by_ending = sorted(SEPARATORS, key=lambda each: each != "\t") if ".tsv" in path.name.lower() else SEPARATORS
    read = [(_header(path, each), each) for each in (separator or by_ending)]
    found = [(columns, each) for columns, each in read if columns is not None]
    if not found:
        raise BadInputError(f"{path.name} does not begin with a header in UTF-8", "Its first line names the columns")
    fitting = [each for each in found if required in {names.get(name, name) for name in each[0]}]
    return max(fitting or found, key=lambda each: len(each[0]))


def records(batch: list[str], batches: Iterator[list[str]], separator: str, number: int) -> Iterator[Record]:
    """The records of a batch of lines of which the first has this number; one of only white space has no fields.

    Reads as many of the following `batches` as the last record needs.
    """
    csv.field_size_limit(LONGEST)
    waiting = deque(batch)
    consumed: list[str] = []

    def feed() -> Iterator[str]:
        while True:
            if not waiting and consumed:
                waiting.extend(next(batches, ()))
            if not waiting:
                return
            line = waiting.popleft()
            consumed.append(line)
            if is_cut(line):
                raise csv.Error("the line is too long")
            yield line

    while waiting:
        try:
            for fields in csv.reader(feed(), delimiter=separator, strict=True):
                lines, consumed = consumed, []
                yield number, fields if len(fields) > 1 or "".join(fields).strip() else [], lines
                number += len(lines)
        except csv.Error:
            waiting.extendleft(reversed(consumed[1:]))
            lines, consumed = consumed[:1], []
            yield number, None, lines
            number += 1


def _header(path: Path, separator: str) -> list[str] | None:
    """The names in the first row; None where it cannot be read."""
    with opened(path) as stream:
        batches = line_batches(stream)
        found = records(next(batches, []), batches, separator, 1)
        fields = next((fields for _, fields, _ in found if fields != []), [])
    if fields is None or any(map(has_invalid_utf8, fields)):
        return None
    return [name.strip() or f"column {number}" for number, name in enumerate(fields, 1)]
