"""Splits a large plain text file after unquoted line ends, so that several tasks can read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

PART_BYTES = 2**25
_QUOTE, _LINE_FEED = ord('"'), ord("\n")
_MARK = b"\xef\xbb\xbf"


def cuts(path: Path, separator: str | None) -> list[tuple[int, int | None, int]]:
    """Parts of the file: start, end (None: to the end of the file) and number of the first line.

    With a `separator` the file is CSV: after a quote that neither begins nor ends a field, quoting is ambiguous, and
    the rest of the file is one part. Without, every line end is suitable.
    """
    starts = [(0, 1)]
    if path.stat().st_size >= 2 * PART_BYTES:
        starts += _starts(path, separator)
    ends = [start for start, _ in starts[1:]]
    return [(start, end, line) for (start, line), end in zip(starts, [*ends, None], strict=True)]


def _starts(path: Path, separator: str | None) -> Iterator[tuple[int, int]]:
    """Offset and number of the first complete line of every block but the first."""
    offset, line, inside, before = 0, 1, 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(PART_BYTES):
            if block.endswith(b"\r"):
                block += file.read(1)
            quotes = _quotes(block) if separator else _NONE
            if separator and not _well_formed(block, quotes[inside::2], before, separator, offset):
                return
            cut = _cut(block, quotes, inside) if quotes.size or inside else block.rfind(b"\n") + 1
            if cut and offset + cut < path.stat().st_size:
                yield offset + cut, line + _line_ends(block[:cut])
            offset, line, before = offset + len(block), line + _line_ends(block), block[-1:]
            inside = (inside + quotes.size) % 2


_NONE = np.zeros(0, np.int64)


def _quotes(block: bytes) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.flatnonzero(np.frombuffer(block, np.uint8) == _QUOTE) if _QUOTE in block else _NONE


def _well_formed(
    block: bytes, opening: np.ndarray[tuple[int], np.dtype[np.int64]], before: bytes, separator: str, offset: int
) -> bool:
    """Whether each quote that should open a field, or follows one that closed it, is at a valid position."""
    if offset == 0 and block.startswith(_MARK):
        opening = opening[opening != len(_MARK)]
    known = np.frombuffer(separator.encode() + b'\n\r"', np.uint8)
    inner = opening[opening > 0]
    if opening.size > inner.size and before[0] not in known:
        return False
    return bool(np.isin(np.frombuffer(block, np.uint8)[inner - 1], known).all())


def _cut(block: bytes, quotes: np.ndarray[tuple[int], np.dtype[np.int64]], inside: int) -> int:
    """The offset after the last unquoted line feed; 0 if there is none."""
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == _LINE_FEED)
    outside = ends[(np.searchsorted(quotes, ends) + inside) % 2 == 0]
    return int(outside[-1]) + 1 if outside.size else 0


def _line_ends(block: bytes) -> int:
    return block.count(b"\n") + block.count(b"\r") - block.count(b"\r\n")
