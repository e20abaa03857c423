"""Ratings in the files of MovieLens (`ratings`, `movies`, `users`; `.dat` or `.csv`) as files in the event contract.

    python -m jobs.batch.sources.movielens ml-latest-small --output var/import

writes `events.parquet`, `items.parquet`, `users.parquet` (where there is a users file) and `meta.json`. The mapping is
described in `docs/data-mapping.md`.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from headrace.errors import BadInputError
from headrace.events import WHITESPACE
from headrace.machine.last_resort import reporting_errors
from jobs.batch.sources.contract_files import numbered, write_files

COLUMNS = {
    "ratings": ("userId", "movieId", "rating", "timestamp"),
    "movies": ("movieId", "title", "genres"),
    "users": ("userId", "gender", "age", "occupation", "zip"),
}
"""Columns of the `.dat` files, by the names that the `.csv` files have in their header."""
NO_GENRES = "(no genres listed)"
_LARGEST_SECONDS = 253_402_300_799  # the last second of the year 9999


def read_table(folder: Path, name: str) -> pd.DataFrame | None:
    """The texts of file `name`, `.dat` or `.csv`; None where the folder has neither.

    A line with too few fields keeps what it has, the rest is missing.

    Raises BadInputError for a CSV without the columns.
    """
    columns = COLUMNS[name]
    if (dat := folder / f"{name}.dat").is_file():
        rows = [line.split("::")[: len(columns)] for line in _text(dat).split("\n") if line.strip()]
        filled = [[field.strip(WHITESPACE) for field in row] + [""] * (len(columns) - len(row)) for row in rows]
        return pd.DataFrame(filled, columns=list(columns), dtype="string")
    path = folder / f"{name}.csv"
    if not path.is_file():
        return None
    # Not str.splitlines, which also ends a line where a title has one of Unicode's or a typewriter's line ends.
    reader = csv.DictReader(io.StringIO(_text(path), newline=""), restval="", restkey="further")
    try:
        lines = list(reader)
    except csv.Error as error:
        raise BadInputError(f"{path.name}, line {reader.line_num}: {error}", "Fix that line") from None
    missing = [column for column in columns if column not in (reader.fieldnames or []) and name != "users"]
    if missing or not reader.fieldnames:
        raise BadInputError(
            f"{path.name} has no column '{(missing or ['userId'])[0]}'", f"Needed: {', '.join(columns)}"
        )
    table = pd.DataFrame(lines, columns=list(reader.fieldnames), dtype="string")
    return table.apply(lambda column: column.str.strip(WHITESPACE))


def events(ratings: pd.DataFrame, scale: float) -> pd.DataFrame:
    """One `rating` event per line; `value` is the rating times 10 / `scale`.

    A value that is not a number stays a text, so that the contract refuses the line with a reason.
    """
    rating = pd.to_numeric(ratings["rating"], errors="coerce").astype("Float64") * (10 / scale)
    seconds = pd.to_numeric(ratings["timestamp"], errors="coerce").astype("Float64")
    seconds = seconds.where(seconds.abs() <= _LARGEST_SECONDS)
    return pd.DataFrame(
        {
            "event_id": numbered("ml-" + ratings["userId"] + "-" + ratings["movieId"] + "-" + ratings["timestamp"]),
            "event_type": "rating",
            "user_id": ratings["userId"],
            "item_id": ratings["movieId"],
            "timestamp": ((seconds * 1000) // 1).astype("Int64").astype("string").fillna(ratings["timestamp"]),
            "value": rating.round(6).astype("string").fillna(ratings["rating"]),
            "rating": ratings["rating"],
        }
    )


def items(movies: pd.DataFrame) -> pd.DataFrame:
    """One row per film: title and year apart, the first genre as category, all genres as the narrower one."""
    parts = movies["title"].str.extract(r"(?s)^(?P<title>.*?)\s*(?:\((?P<year>\d{4})\))?$")
    genres = movies["genres"].replace({NO_GENRES: pd.NA, "": pd.NA})
    words = genres.str.replace("|", " ", regex=False).fillna("")
    return pd.DataFrame(
        {
            "item_id": movies["movieId"],
            "title": parts["title"],
            "category_1": genres.str.split("|").str[0],
            "category_2": genres,
            "text": (parts["title"].fillna("") + " " + words).str.strip().str.lower(),
            "year": parts["year"],
        }
    )


def users(table: pd.DataFrame) -> pd.DataFrame:
    """One row per user; every column except the postcode (which would identify users) becomes part of the profile."""
    return table.drop(columns=["zip"], errors="ignore").rename(columns={"userId": "user_id"})


def write(folder: Path, output: Path, scale: float = 5) -> dict[str, Any]:
    """Write the files below `output` and return what is in `meta.json`.

    Raises BadInputError without ratings or movies.
    """
    ratings, movies, profiles = (read_table(folder, name) for name in COLUMNS)
    if ratings is None or movies is None:
        name = "ratings" if ratings is None else "movies"
        raise BadInputError(f"{folder} has neither {name}.dat nor {name}.csv", "Name the folder that holds them")
    tables = {"events": events(ratings, scale), "items": items(movies)}
    if profiles is not None:
        tables["users"] = users(profiles)
    meta = {"scale": scale, **{name: len(table) for name, table in tables.items()}}
    write_files(output, tables, meta)
    return meta


def _text(path: Path) -> str:
    """The file's text: UTF-8, else Latin-1 (the older MovieLens files)."""
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _scale(text: str) -> float:
    if not (text.replace(".", "", 1).isdigit() and float(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a highest rating such as 5 or 10")
    return float(text)


def main(arguments: list[str] | None = None) -> int:
    """Command line; prints one line about what was written."""
    parser = argparse.ArgumentParser(prog="python -m jobs.batch.sources.movielens", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder with ratings, movies and perhaps users")
    parser.add_argument("--output", type=Path, required=True, help="folder for the files")
    parser.add_argument(
        "--scale", type=_scale, default=5.0, help="highest rating of the scale, which becomes 10 (default 5)"
    )
    given = parser.parse_args(arguments)
    return reporting_errors(lambda: _write(given))


def _write(given: argparse.Namespace) -> None:
    meta = write(given.folder, given.output, given.scale)
    print(
        f"{meta['events']:,} ratings (up to {meta['scale']:g}), {meta['items']:,} items, {meta.get('users', 0):,} users"
    )


if __name__ == "__main__":
    sys.exit(main())
