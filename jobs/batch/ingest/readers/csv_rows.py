"""Rows of a CSV file, numbered by the line they begin on, the header's being 1."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from jobs.batch.ingest.readers.csv_records import Record, records
from jobs.batch.ingest.readers.json_values import readable
from jobs.batch.ingest.readers.json_writer import json_objects
from jobs.batch.ingest.readers.text_lines import TOO_LONG, bytes_of, has_invalid_utf8, is_cut, line_batches, opened

_Rows = tuple[pa.Array, pa.Array]
"""Rows as JSON text, and their numbers."""


@dataclass(frozen=True)
class CsvPart:
    """A CSV file, or the part of an uncompressed one between two unquoted line ends."""

    path: Path
    columns: Sequence[str]
    """The contract's names of the columns."""
    separator: str
    numbers: Collection[str] = ()
    """Columns whose texts become numbers where they can be parsed as such."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """Values that every row has in addition to its columns."""
    start: int = 0
    end: int | None = None
    first_line: int = 1
    """Number of the line that it begins with."""

    def rows(self) -> Iterator[_Rows]:
        """The rows as JSON text with their numbers; one that cannot be read begins with the reason, and is not JSON."""
        number, header = self.first_line, self.first_line == 1
        with opened(self.path, self.start, self.end) as stream:
            batches = line_batches(stream)
            for batch in batches:
                if not header and (plain := self._plain(batch)):
                    yield from self._split(plain, batch, number)
                    number += len(batch)
                    continue
                found = list(records(batch, batches, self.separator, number))
                number = found[-1][0] + len(found[-1][2])
                found = [record for record in found if record[1] != []]
                yield from self._parsed(found[1:] if header else found)
                header = header and not found

    def _plain(self, batch: list[str]) -> bytes | None:
        """The lines, if each is one row, because none has a quote."""
        text = "".join(batch)
        if '"' in text or len(self.columns) == 1 or has_invalid_utf8(text) or any(map(is_cut, batch)):
            return None
        return text.encode()

    def _split(self, plain: bytes, batch: list[str], number: int) -> Iterator[_Rows]:
        wrong_rows: dict[int, str] = {}

        def other(row: pyarrow.csv.InvalidRow) -> str:
            wrong_rows[row.number - 1] = f"{self._wrong(row.actual_columns)}{row.text}"
            return "skip"

        names = list(self.columns)
        table = pyarrow.csv.read_csv(
            pa.BufferReader(plain),
            pyarrow.csv.ReadOptions(use_threads=False, block_size=len(plain) + 1, column_names=names),
            pyarrow.csv.ParseOptions(
                delimiter=self.separator, quote_char=False, ignore_empty_lines=False, invalid_row_handler=other
            ),
            pyarrow.csv.ConvertOptions(check_utf8=False, column_types=dict.fromkeys(names, pa.string())),
        ).combine_chunks()
        columns = {name: _whole(table.column(name)) for name in names}
        given = np.delete(np.arange(len(batch)), list(wrong_rows))
        blank = [index for index, line in enumerate(batch) if line.isspace()]
        kept = pa.array(~np.isin(given, blank))
        yield self._objects(columns, table.num_rows).filter(kept), pa.array(given + number).filter(kept)
        yield from _refused(
            [(text, number + index) for index, text in wrong_rows.items() if not batch[index].isspace()]
        )

    def _parsed(self, found: list[Record]) -> Iterator[_Rows]:
        good: list[list[str]] = []
        numbers: list[int] = []
        bad: list[tuple[str, int]] = []
        for number, fields, text in found:
            if fields is not None and len(fields) == len(self.columns):
                good.append(fields)
                numbers.append(number)
            else:
                bad.append((self._problem(fields, text), number))
        if good:
            columns = {
                name: _column(values) for name, values in zip(self.columns, zip(*good, strict=True), strict=True)
            }
            yield self._objects(columns, len(good)), pa.array(numbers, pa.int64())
        yield from _refused(bad)

    def _objects(self, columns: Mapping[str, pa.Array], rows: int) -> pa.Array:
        more = {name: pa.repeat(text, rows) for name, text in self.constants.items() if name not in columns}
        return json_objects({**columns, **more}, self.numbers)

    def _problem(self, fields: list[str] | None, text: list[str]) -> str:
        shown = readable(bytes_of("".join(text).rstrip("\r\n")))
        if is_cut(text[0]):
            return TOO_LONG + shown
        return ("quotes that do not match: " if fields is None else self._wrong(len(fields))) + shown

    def _wrong(self, fields: int) -> str:
        return f"{fields} fields, the header has {len(self.columns)}: "


def _refused(bad: list[tuple[str, int]]) -> Iterator[_Rows]:
    if bad:
        texts, numbers = zip(*bad, strict=True)
        yield pa.array(texts, pa.string()), pa.array(numbers, pa.int64())


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks else pa.array([], pa.string())


def _column(values: tuple[str, ...]) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        return pa.array([bytes_of(value) for value in values], pa.binary())
