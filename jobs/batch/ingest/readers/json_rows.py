"""Rows of a JSON Lines file: the lines unchanged except for renamed fields."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from headrace.errors import BadInputError
from jobs.batch.ingest.readers.json_values import readable
from jobs.batch.ingest.readers.json_writer import NOT_TEXT
from jobs.batch.ingest.readers.text_lines import TOO_LONG, bytes_of, has_invalid_utf8, is_cut, line_batches, opened

CHECKED_ROWS = 1000
"""Rows whose field names are checked before the import."""
_BLANKS = " \t\r\n"
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class JsonPart:
    """A JSON Lines file, or the part of an uncompressed one between two line ends."""

    path: Path
    names: Mapping[str, str] = field(default_factory=dict)
    """Names of fields → names of the contract."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """Values of fields that a row does not have itself."""
    start: int = 0
    end: int | None = None
    first_line: int = 1
    """Number of the line that it begins with."""

    def rows(self) -> Iterator[tuple[pa.Array, pa.Array]]:
        """The lines that are not blank, with numbers; one that is not text begins with the reason, and is not JSON."""
        with opened(self.path, self.start, self.end) as stream:
            first = self.first_line
            for batch in line_batches(stream):
                texts = [TOO_LONG + line if is_cut(line) else line.strip(_BLANKS) for line in batch]
                numbers = [number for number, text in enumerate(texts, first) if text]
                if numbers:
                    yield self._rows([text for text in texts if text]), pa.array(numbers, pa.int64())
                first += len(batch)

    def _rows(self, texts: list[str]) -> pa.Array:
        if has_invalid_utf8("".join(texts)):
            texts = [NOT_TEXT + readable(bytes_of(text)) if has_invalid_utf8(text) else text for text in texts]
        if self.names or self.constants:
            texts = [renamed(text, self.names, self.constants) for text in texts]
        return pa.array(texts, pa.string())


def field_names(path: Path) -> list[str] | None:
    """Names of the fields of the first rows; None where there is no row.

    Raises BadInputError where they are one document, a list or an object over several lines.
    """
    with opened(path) as stream:
        first = [line for line in next(line_batches(stream), []) if line.strip(_BLANKS)]
    names: dict[str, None] = {}
    for line in first[:CHECKED_ROWS]:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        names |= dict.fromkeys(row) if isinstance(row, dict) else {}
    begins = first[0].replace(" ", "").rstrip() if first else ""
    if begins in ("[", "{") or begins.startswith("[{"):
        raise BadInputError(f"{path.name} is one JSON document, expected an object per line", "Write it as JSON Lines")
    return list(names) if first else None


def renamed(text: str, names: Mapping[str, str], constants: Mapping[str, str]) -> str:
    """The JSON object with its fields renamed and those constants that it lacks; every value is kept as written.

    A text that is not a JSON object is returned unchanged. One with a field under both names gets this reason as a
    prefix, and is not JSON.
    """
    try:
        members = list(_members(text))
    except (ValueError, RecursionError, IndexError):
        return text
    keys = [names.get(key, key) for key, _ in members]
    for key, (theirs, _) in zip(keys, members, strict=True):
        if key != theirs and keys.count(key) > 1:
            return f"'{key}' and '{theirs}' are both there: {text}"
    more = [(key, json.dumps(value)) for key, value in constants.items() if key not in keys]
    values = (value for _, value in members)
    written = [*zip(map(json.dumps, keys), values, strict=True), *((json.dumps(key), value) for key, value in more)]
    return "{" + ",".join(f"{key}:{value}" for key, value in written) + "}"


def _members(text: str) -> Iterator[tuple[str, str]]:
    """The fields of a JSON object: name, and value as written. Raises ValueError or IndexError for anything else."""
    position = _next(text, 0, "{")
    if text[position] == "}":
        _end(text, position)
        return
    while True:
        if text[position] != '"':
            raise ValueError("no name of a field")
        key, position = _DECODER.raw_decode(text, position)
        start = _next(text, _skipped(text, position), ":")
        _, end = _DECODER.raw_decode(text, start)
        yield key, text[start:end]
        position = _skipped(text, end)
        if text[position] == "}":
            _end(text, position)
            return
        position = _next(text, position, ",")


def _next(text: str, position: int, expected: str) -> int:
    """The position after the expected character and the white space behind it."""
    if text[position] != expected:
        raise ValueError(f"no {expected}")
    return _skipped(text, position + 1)


def _end(text: str, position: int) -> None:
    if text[position + 1 :].strip(_BLANKS):
        raise ValueError("more than an object")


def _skipped(text: str, position: int) -> int:
    while text[position] in _BLANKS:
        position += 1
    return position
