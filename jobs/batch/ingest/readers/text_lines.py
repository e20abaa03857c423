"""Lines of a text file, plain or compressed, unchanged: streamed, and checked before any row is imported.

Bytes that are not UTF-8 are kept as lone surrogates (PEP 383), which `bytes_of` converts back: the row readers can
detect them, and no byte is replaced.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO

import pyarrow as pa

from headrace.errors import BadInputError

CODECS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
"""Endings of compressed files, and Arrow's names of their formats. Spark would need a native library for Zstandard."""
LONGEST = 2**20
"""Maximum characters of a line, which is cut there: far more than an event may have, and small enough for memory."""
BATCH_LINES = 8192
BATCH_CHARACTERS = 2**24
TOO_LONG = f"more than {LONGEST:,} characters: "
"""Prefix of a row that was cut."""
_NAMES = {"gzip": "gzip", "bz2": "bzip2", "zstd": "Zstandard"}
_MAGIC = {
    "gzip": (b"\x1f\x8b",),
    "bz2": (b"BZh",),
    "zstd": (b"\x28\xb5\x2f\xfd", *(bytes([n]) + b"\x2a\x4d\x18" for n in range(0x50, 0x60))),
}
"""First bytes of files in each format; Zstandard also has skippable frames."""
_NOT_TEXT = {
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"PK\x03\x04": "a ZIP file or a workbook",
    b"PAR1": "Parquet",
}
_BLOCK = 2**20


def codec_of(path: Path) -> str | None:
    """Arrow's name of the file's compression; None for a plain one."""
    return CODECS.get(path.suffix.lower())


def require_text(path: Path) -> None:
    """Read a compressed file to its end, and check the first bytes of a plain one.

    Raises BadInputError for one that is damaged, of another format than its ending, or not text in UTF-8.
    """
    codec = codec_of(path)
    with path.open("rb") as file:
        begins = file.read(4)
    actual = next((name for name, magics in _MAGIC.items() if begins.startswith(magics)), None)
    if begins and codec and actual != codec:
        raise BadInputError(
            f"{path} is not a {_NAMES[codec]} file", f"Leave out the ending {path.suffix} if it is not compressed"
        )
    if codec is None and actual:
        ending = next(ending for ending, name in CODECS.items() if name == actual)
        raise BadInputError(f"{path} is a {_NAMES[actual]} file", f"Add the ending {ending} to its name")
    try:
        with opened(path) as stream:
            begins = stream.read(4)
            while codec and stream.read(_BLOCK):
                pass
    except OSError as error:
        raise BadInputError(
            f"{path} is damaged, no row of it was imported ({error})", "Create or download it again"
        ) from None
    names = [name for magic, name in _NOT_TEXT.items() if begins.startswith(magic)]
    for name in names or (["not text, or is UTF-16"] if b"\0" in begins else []):
        raise BadInputError(f"{path} is {name}, expected text in UTF-8", "Save it as UTF-8 text")


@contextmanager
def opened(path: Path, start: int = 0, end: int | None = None) -> Iterator[IO[bytes]]:
    """The bytes of the file, decompressed; of a plain one, those from `start` to `end`, read into memory."""
    if codec := codec_of(path):
        with path.open("rb") as file:
            empty = not file.read(1)
        with pa.input_stream(str(path), compression=None if empty else codec) as packed:
            yield io.BufferedReader(packed, _BLOCK)
        return
    with path.open("rb") as file:
        file.seek(start)
        yield file if end is None else io.BytesIO(file.read(end - start))


def line_batches(stream: IO[bytes]) -> Iterator[list[str]]:
    """The lines with their line ends: a line feed, a carriage return or both, and no other character.

    A line longer than `LONGEST` characters is cut there, without its line end. A byte order mark of UTF-8 is left out.
    """
    text = io.TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline="")
    try:
        first = text.readline(LONGEST).removeprefix("\ufeff")
        batch, held, cut = [first] if first else [], len(first), is_cut(first)
        for piece in iter(partial(text.readline, LONGEST), ""):
            if not cut:
                batch.append(piece)
                held += len(piece)
            cut = len(piece) == LONGEST and is_cut(piece)
            if len(batch) >= BATCH_LINES or held >= BATCH_CHARACTERS:
                yield batch
                batch, held = [], 0
        if batch:
            yield batch
    finally:
        with suppress(ValueError):  # the caller may have closed the stream
            text.detach()


def is_cut(line: str) -> bool:
    """Whether the line was too long."""
    return len(line) >= LONGEST - 1 and not line.endswith(("\n", "\r"))


def has_invalid_utf8(text: str) -> bool:
    """Whether it was read from bytes that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def bytes_of(line: str) -> bytes:
    """The bytes that the line was read from."""
    return line.encode(errors="surrogateescape")
