"""Records of CSV as RFC 4180 has it: `""` is a quote, a backslash is a backslash, quotes may hold line breaks.

A record is numbered by the line it begins on. A quote that is never closed, or closed in the middle of a field, costs
the line that it is on: reading goes on at the next one.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

from headrace.errors import BadInputError
from jobs.batch.ingest.readers.text_lines import LONGEST, is_cut, is_odd, line_batches, opened

SEPARATORS = (",", ";", "\t", "|")
"""What may stand between the fields where nobody says it: the first with which the header has the needed column."""
Record = tuple[int, list[str] | None, list[str]]
"""Number of its first line, its fields (None where they cannot be told), and its lines."""


def header(path: Path, required: str, names: Mapping[str, str], separator: str) -> tuple[list[str], str]:
    """The file's column names and its separator: the one given, else the first that makes `required` a column.

    A column without a name is called by its place; an empty file has no columns. Raises BadInputError for a header
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
    """The records of a batch of lines of which the first has this number; one of nothing but white space has no fields.

    Of the `batches` that come after it as many are taken in as the last record needs.
    """
    csv.field_size_limit(LONGEST)
    waiting = deque(batch)
    taken: list[str] = []

    def feed() -> Iterator[str]:
        while True:
            if not waiting and taken:
                waiting.extend(next(batches, ()))
            if not waiting:
                return
            line = waiting.popleft()
            taken.append(line)
            if is_cut(line):
                raise csv.Error("the line is too long")
            yield line

    while waiting:
        try:
            for fields in csv.reader(feed(), delimiter=separator, strict=True):
                lines, taken = taken, []
                yield number, fields if len(fields) > 1 or "".join(fields).strip() else [], lines
                number += len(lines)
        except csv.Error:
            waiting.extendleft(reversed(taken[1:]))
            lines, taken = taken[:1], []
            yield number, None, lines
            number += 1


def _header(path: Path, separator: str) -> list[str] | None:
    """The names in the first row; None where it cannot be read."""
    with opened(path) as stream:
        batches = line_batches(stream)
        found = records(next(batches, []), batches, separator, 1)
        fields = next((fields for _, fields, _ in found if fields != []), [])
    if fields is None or any(map(is_odd, fields)):
        return None
    return [name.strip() or f"column {place}" for place, name in enumerate(fields, 1)]
