"""Converts a folder of a supported data set to files in the event contract: `python -m jobs.batch.sources FOLDER`.

The format is detected from the files: `ratings` and `movies` are MovieLens's, invoice lines are Online Retail's. Prints
the day of the last event at the end, because that is the day to compute.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd

from headrace.errors import BadInputError
from headrace.machine.last_resort import reporting_errors
from jobs.batch.sources import movielens, online_retail
from jobs.batch.sources.invoice_texts import ORDERS

_SUPPORTED = "ratings.dat or ratings.csv (MovieLens), or Parquet or CSV with invoice lines (Online Retail)"


def period(events: Path) -> tuple[date, date] | None:
    """First and last day with an event that has happened; None where there is none."""
    texts = pd.read_parquet(events, columns=["timestamp"])["timestamp"].astype("string")
    milliseconds = pd.to_numeric(texts, errors="coerce")
    moments = pd.to_datetime(milliseconds, unit="ms", utc=True, errors="coerce")
    moments = moments.fillna(_iso(texts.where(milliseconds.isna())))
    happened = moments[moments <= datetime.now(UTC)]
    return (happened.min().date(), happened.max().date()) if len(happened) else None


def _iso(texts: pd.Series[str]) -> pd.Series[pd.Timestamp]:
    return pd.to_datetime(texts, utc=True, errors="coerce", format="ISO8601")


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 1 with one line on stderr where the folder is in no supported format."""
    parser = argparse.ArgumentParser(prog="python -m jobs.batch.sources", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help=f"folder with {_SUPPORTED}")
    parser.add_argument("--output", type=Path, required=True, help="folder for the files")
    parser.add_argument("--scale", help="highest rating of the scale (default 5)")
    parser.add_argument("--dates", choices=ORDERS, help="how to read invoice dates that are ambiguous in all rows")
    given = parser.parse_args(arguments)
    return reporting_errors(lambda: _convert(given))


def _convert(given: argparse.Namespace) -> int:
    where = [str(given.folder), "--output", str(given.output)]
    if any((given.folder / f"ratings{ending}").is_file() for ending in (".dat", ".csv")):
        failed = movielens.main([*where, *(["--scale", given.scale] if given.scale else [])])
    elif any(given.folder.glob("*.parquet")) or any(given.folder.glob("*.csv")):
        failed = online_retail.main([*where, *(["--dates", given.dates] if given.dates else [])])
    else:
        raise BadInputError(
            f"{given.folder} is not a data set in a supported format", f"Name a folder with {_SUPPORTED}"
        )
    covered = None if failed else period(given.output / "events.parquet")
    if covered:
        print(
            f"events from {covered[0]} to {covered[1]}; afterwards: headrace run daily --day {covered[1]}", flush=True
        )
    return failed


if __name__ == "__main__":
    sys.exit(main())
