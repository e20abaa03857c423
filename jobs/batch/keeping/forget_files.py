"""A user's data in files other than tables: training files, report pages, logs; found by the id with its field name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headrace.settings import Settings

COLUMNS = ("user_id", "subject_id")
TEXTS = (".log", ".html", ".json", ".jsonl", ".csv", ".txt")
"""Endings of files that are read as text."""
_SERVER_FOLDERS = ("kafka", "valkey")
"""Folders of servers, which are checked by their own clients."""


def naming(subjects: Sequence[str]) -> re.Pattern[str]:
    """Pattern of one of the subjects in a text: a field name for users, few signs, the id."""
    ids = "|".join(re.escape(subject) for subject in subjects)
    return re.compile(rf"(?:user_id|subject_id|user|subject)(?:&quot;|[\s\"'=:\\]){{1,24}}(?:{ids})(?![\w.-])")


def found_in_files(settings: Settings, subjects: Sequence[str]) -> dict[str, str]:
    """By file, how many rows or lines are about the subjects."""
    pattern = naming(subjects)
    found = {}
    for path in _files(settings):
        if path.suffix == ".parquet":
            rows = sum(batch.num_rows - _others(batch, subjects).num_rows for batch in _batches(path))
            text = f"{rows:,} rows" if rows else ""
        else:
            with path.open(encoding="utf-8", errors="replace") as lines:
                count = sum(pattern.search(line) is not None for line in lines)
            text = f"{count:,} lines" if count else ""
        if text:
            found[str(path)] = text
    return found


def remove_from_files(settings: Settings, subjects: Sequence[str]) -> dict[str, int]:
    """Rewrite the files without those rows and lines; returns the rows and lines removed by file.

    Pages are deleted: they can be generated again. Releases and JSON files, valid only as a whole, are not changed.
    """
    removed = {}
    for name in found_in_files(settings, subjects):
        path = Path(name)
        if path.suffix == ".json" or path.is_relative_to(settings.releases):
            continue
        if path.suffix == ".html":
            path.unlink()
            removed[name] = 1
        else:
            removed[name] = (
                _remove_parquet_rows(path, subjects)
                if path.suffix == ".parquet"
                else _remove_text_lines(path, subjects)
            )
    return removed


def _files(settings: Settings) -> Iterator[Path]:
    home, lake = settings.home_folder, Path(settings.lake_root)
    skipped = [home / name for name in _SERVER_FOLDERS]
    for path in sorted(home.rglob("*")):
        if path.suffix not in (".parquet", *TEXTS) or path.is_symlink() or not path.is_file():
            continue
        if path.is_relative_to(lake) or any(path.is_relative_to(folder) for folder in skipped):
            continue
        yield path


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError):  # truncated while it was written: no reader can open it
        return
    with file:
        if any(name in file.schema_arrow.names for name in COLUMNS):
            yield from file.iter_batches()


def _others(batch: pa.RecordBatch, subjects: Sequence[str]) -> pa.RecordBatch:
    for name in COLUMNS:
        if name in batch.schema.names:
            theirs = pc.is_in(pc.cast(batch.column(name), pa.string()), pa.array(subjects, pa.string()))
            batch = batch.filter(pc.invert(theirs))
    return batch


def _remove_parquet_rows(path: Path, subjects: Sequence[str]) -> int:
    partial = path.with_suffix(".partial")
    removed = 0
    with pq.ParquetWriter(partial, pq.read_schema(path), compression="zstd") as writer:
        for batch in _batches(path):
            others = _others(batch, subjects)
            removed += batch.num_rows - others.num_rows
            writer.write_batch(others)
    partial.replace(path)
    return removed


def _remove_text_lines(path: Path, subjects: Sequence[str]) -> int:
    pattern = naming(subjects)
    partial = path.with_suffix(".partial")
    removed = 0
    with path.open(encoding="utf-8", errors="replace") as lines, partial.open("w", encoding="utf-8") as kept:
        for line in lines:
            if pattern.search(line):
                removed += 1
            else:
                kept.write(line)
    partial.replace(path)
    return removed
