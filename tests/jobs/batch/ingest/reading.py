"""Rows of a file as the contract sees them, for the tests of all kinds of files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headrace.events import Reason, Rejection, parse_event
from jobs.batch.ingest.readers.file_parts import Expected, parts_of
from jobs.batch.ingest.readers.files import find_files

Read = list[tuple[int, Any]]


def read(path: Path, required: str = "item_id", **expected: Any) -> Read:
    """Number and content of every row, in order; the text of one that is no JSON."""
    rows: Read = []
    for file in find_files([path]):
        for part in parts_of(file, Expected(required, **expected)):
            for raw, numbers in part.rows():
                rows += zip(numbers.to_pylist(), map(_content, raw.to_pylist()), strict=True)
    return sorted(rows, key=lambda row: row[0])


def _content(raw: str) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        refused = parse_event(raw, datetime(2026, 1, 1, tzinfo=UTC))
        assert isinstance(refused, Rejection)
        assert refused.reason is Reason.MALFORMED
        return raw


def written(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def item(name: str, title: str, **more: Any) -> Mapping[str, Any]:
    return {"item_id": name, "title": title, **more}
