"""The same rows as files of many programs: a writer for each kind of file, compressed or not."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

Rows = Sequence[Mapping[str, Any]]


def zstd(*frames: bytes) -> bytes:
    """Several Zstandard frames, as programs leave that append to a file."""
    written = b""
    for frame in frames:
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(frame)
        written += sink.getvalue().to_pybytes()
    return written


def csv_text(rows: Rows, **dialect: Any) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), **dialect)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def json_text(rows: Rows, **options: Any) -> bytes:
    return "".join(json.dumps(row, **options) + "\n" for row in rows).encode()


def arrow_csv(rows: Rows) -> bytes:
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(pa.Table.from_pylist([*rows]), sink)
    return sink.getvalue().to_pybytes()


def parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


WRITERS: Mapping[str, Callable[[Rows], bytes]] = {
    "csv.csv": lambda rows: csv_text(rows, lineterminator="\n"),
    "excel.csv": lambda rows: b"\xef\xbb\xbf" + csv_text(rows, delimiter=";", quoting=csv.QUOTE_ALL),
    "tab.tsv": lambda rows: csv_text(rows, delimiter="\t"),
    "pandas.csv": lambda rows: pd.DataFrame(rows).to_csv(index=False).encode(),
    "arrow.csv": arrow_csv,
    "lines.jsonl": lambda rows: json_text(rows),
    "unicode.ndjson": lambda rows: json_text(rows, ensure_ascii=False),
    "pandas.json": lambda rows: pd.DataFrame(rows).to_json(orient="records", lines=True).encode(),
    "arrow.parquet": lambda rows: parquet(pa.Table.from_pylist([*rows])),
    "pandas.parquet": lambda rows: parquet(pa.Table.from_pandas(pd.DataFrame(rows))),
}
COMPRESSED: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": zstd,
}


def every_file(folder: Path, rows: Rows) -> list[Path]:
    """The rows in files of every kind; the texts of them, each in every compression."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, write in WRITERS.items():
        for ending, compress in COMPRESSED.items():
            if not (ending and name.endswith(".parquet")):
                files.append(folder / (name + ending))
                files[-1].write_bytes(compress(write(rows)))
    return files
