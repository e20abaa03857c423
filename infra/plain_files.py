"""Converts files of user-item interactions, with or without other columns, to files in the event contract.

User and item ids are all that `headrace evaluate --train` needs. Missing columns are generated deterministically:

- `event_type`: `rating` where there is a `value`, else `like`;
- `event_id`: the file's name and the number of the row;
- `timestamp`: a time in the last `DAYS`, hashed from user and item, so that the days held out of the first training
  are a random share of each user's items. There is no real order of the events.

Times that are seconds since 1970 become milliseconds. Every id is the exact text in the file.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from headrace.errors import BadInputError
from headrace.events.ids import with_id_texts
from headrace.tables import TIME

NEEDED = ("user_id", "item_id")
GENERATED = ("event_id", "event_type", "timestamp")
DAYS = 10
"""Events without a time are spread over so many days: enough for a random tenth on the last one, and few compared with
the half-lives of features, so that decay has no effect."""
_LARGEST_SECONDS = 20_000_000_000
"""A number below it is seconds since 1970 (until the year 2603), one above it milliseconds (from September 1970)."""


@dataclass(frozen=True)
class Completed:
    """Files in the event contract."""

    files: list[Path]
    without_times: bool
    """All times are generated."""


def read_columns(file: Path, names: Mapping[str, str], needed: Sequence[str]) -> pa.Table:
    """The file's table under our names (`names`: theirs → ours). Raises BadInputError if a needed column is missing."""
    table = _read(file, names)
    if missing := [name for name in needed if name not in table.column_names]:
        shown = ", ".join(table.column_names[:12]) or "none"
        raise BadInputError(
            f"{file.name} has no column '{missing[0]}' (its columns: {shown})",
            f"Name the column that holds it with `--map THEIRS={missing[0]}`",
        )
    return table


def completed(files: Sequence[Path], names: Mapping[str, str], folder: Path, end: datetime) -> Completed:
    """The files; those without a column of the contract are rewritten in `folder`. Generated times end at `end`.

    A file that cannot be read as a whole is passed on unchanged: the contract validates row by row. Raises
    BadInputError where a file with missing columns has no users or items.
    """
    done: list[Path] = []
    timed = False
    for index, file in enumerate(files):
        try:
            table = _read(file, names)
        except BadInputError:
            done.append(file)
            timed = True
            continue
        timed = timed or "timestamp" in table.column_names
        incomplete = any(name not in table.column_names for name in GENERATED)
        if not (incomplete or _are_seconds(table.column("timestamp"))):
            done.append(file)
            continue
        target = folder / f"{index}-{file.name.split('.')[0]}.parquet"
        pq.write_table(_completed(read_columns(file, names, NEEDED), f"{index}-{file.name}", end), target)
        done.append(target)
    return Completed(done, not timed)


def _read(file: Path, names: Mapping[str, str]) -> pa.Table:
    suffix = next((suffix for suffix in reversed(file.suffixes) if suffix not in (".gz", ".bz2", ".zst")), "")
    try:
        table = {".csv": _csv, ".parquet": _parquet}.get(suffix, _json_lines)(file)
    except (OSError, ValueError, RecursionError, pa.ArrowException) as error:
        raise BadInputError(f"{file} cannot be read ({error})", "Use CSV, JSON Lines or Parquet") from None
    ours = [names.get(name.strip(), name.strip()) for name in table.column_names]
    if repeated := [name for index, name in enumerate(ours) if name in ours[:index]]:
        raise BadInputError(f"{file} has two columns '{repeated[0]}'", "Leave one out, or rename it")
    return with_id_texts(table.rename_columns(ours), file.name)


def _csv(file: Path) -> pa.Table:
    """Every value as text: type inference would merge users `007` and `7`, and drop `NA`."""
    parse = pa.csv.ParseOptions(newlines_in_values=True)
    with pa.csv.open_csv(file, parse_options=parse) as beginning:
        header = beginning.schema.names
    texts = pa.csv.ConvertOptions(
        column_types=dict.fromkeys(header, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )
    return pa.csv.read_csv(file, parse_options=parse, convert_options=texts)


def _parquet(file: Path) -> pa.Table:
    return pq.read_table(file, partitioning=None)  # a parent folder named `user_id=7` is not a column


def _json_lines(file: Path) -> pa.Table:
    """With Python's reader: Arrow's rounds long numbers, and reads an id such as `2026-11-01` as a time."""
    rows: list[dict[str, Any]] = []
    with pa.input_stream(str(file), compression="detect") as lines:
        for line in io.TextIOWrapper(lines, encoding="utf-8-sig", newline="\n"):
            if line.strip():
                rows.append(json.loads(line))
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("a line is not a JSON object")
    columns = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: _json_column([row.get(name) for row in rows]) for name in columns})


def _json_column(values: list[Any]) -> pa.Array:
    """Array of the type that all values have; texts where texts and integers are mixed, as in ids."""
    kinds = {type(value) for value in values} - {type(None)}
    if (
        int in kinds
        and kinds <= {int, str}
        and (str in kinds or max(abs(int(value or 0)) for value in values) >= 2**63)
    ):
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    return pa.array(values)


def _completed(table: pa.Table, name: str, end: datetime) -> pa.Table:
    rows = table.num_rows
    columns = {column: table.column(column) for column in table.column_names}
    if "event_id" not in columns:
        columns["event_id"] = pa.array([f"{name}-{row}" for row in range(1, rows + 1)], pa.string())
    if "event_type" not in columns:
        columns["event_type"] = pa.repeat("rating" if "value" in columns else "like", rows)
    if "timestamp" not in columns:
        columns["timestamp"] = _moments(columns["user_id"], columns["item_id"], end)
    elif _are_seconds(columns["timestamp"]):
        columns["timestamp"] = pc.multiply(_numbers(columns["timestamp"]), 1000.0).cast(pa.int64(), safe=False)
    return pa.table(columns)


def _are_seconds(times: pa.ChunkedArray) -> bool:
    numbers = _numbers(times)
    largest = pc.max(numbers).as_py() if numbers is not None else None
    return largest is not None and abs(largest) < _LARGEST_SECONDS


def _numbers(times: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """[rows]: the times as numbers; None where any of them is something else."""
    number = pa.types.is_integer(times.type) or pa.types.is_floating(times.type) or pa.types.is_string(times.type)
    try:
        return times.cast(pa.float64()) if number else None
    except pa.ArrowInvalid:
        return None


def _moments(users: pa.ChunkedArray, items: pa.ChunkedArray, end: datetime) -> pa.Array:
    """[rows]: in the `DAYS` before `end`, by the hash of both ids."""
    text = pa.string()
    pairs = pc.binary_join_element_wise(users.cast(text), items.cast(text), "\x1f").to_pylist()
    digests = b"".join(hashlib.blake2b((pair or "").encode(), digest_size=8).digest() for pair in pairs)
    share = np.frombuffer(digests, ">u8").astype(np.float64) / 2.0**64
    length = timedelta(days=DAYS) // timedelta(microseconds=1)
    begin = int((end - timedelta(days=DAYS)).astimezone(UTC).timestamp() * 1_000_000)
    return pa.array(begin + (share * length).astype(np.int64), pa.int64()).cast(TIME)
