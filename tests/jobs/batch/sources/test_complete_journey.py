"""The demo's data: one receipt line is one event, the year moved by whole weeks, nothing invented."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from headrace.events import Event, Rejection, parse_event
from jobs.batch.sources.complete_journey import Slice, events, items, week_shift, write
from jobs.batch.sources.complete_journey_promotions import calendar, promotions
from jobs.batch.sources.complete_journey_titles import title

LINES = pd.DataFrame(
    {
        "household_id": [7, 7, 7, 8],
        "store_id": [330, 330, 330, 406],
        "basket_id": [31198570044, 31198570044, 31198570044, 31198655051],
        "product_id": [1095275, 1095275, 9878513, 1041453],
        "quantity": [1, 2, 0, 3],
        "sales_value": [0.5, 1.5, 0.0, 1.0],
        "retail_disc": [0.0, 0.1, 0.0, 0.0],
        "coupon_disc": [0.0] * 4,
        "coupon_match_disc": [0.0] * 4,
        "week": [1, 1, 1, 2],
        "transaction_timestamp": pd.to_datetime(["2017-01-01 11:53:26"] * 3 + ["2017-01-09 04:30:00"]),
    }
)


def test_a_repeated_line_gets_a_number_and_a_price_is_what_was_paid_for_one() -> None:
    made = events(LINES, timedelta(weeks=1))
    assert made["event_id"].tolist()[:2] == ["cj-31198570044-1095275", "cj-31198570044-1095275-2"]
    assert made["price"].tolist()[:2] == [0.5, 0.75]
    assert made["timestamp"][0] == datetime(2017, 1, 8, 11, 53, 26, tzinfo=UTC)
    assert made[["week", "store_id"]].iloc[3].tolist() == [2, "406"]


def test_every_line_fits_the_contract_but_adjustments_which_it_refuses() -> None:
    rows = json.loads(events(LINES, timedelta(0)).to_json(orient="records", date_format="iso"))
    judged = [parse_event(row, datetime(2018, 1, 1, tzinfo=UTC)) for row in rows]
    assert [type(each) for each in judged] == [Event, Event, Rejection, Event]


@pytest.mark.parametrize("end", [date(2026, 11, 23), date(2026, 11, 22), date(2017, 1, 9), date(2016, 12, 1)])
def test_the_shift_keeps_weekday_and_hour_and_ends_within_a_week_of_the_end(end: date) -> None:
    last = datetime(2017, 1, 9, 4, 30, tzinfo=UTC)
    moved = last + week_shift(last, end)
    midnight = datetime(end.year, end.month, end.day, tzinfo=UTC) + timedelta(days=1)
    assert (moved.weekday(), moved.time()) == (last.weekday(), last.time())
    assert timedelta(0) < midnight - moved <= timedelta(weeks=1)


def test_titles_are_readable_and_the_category_path_goes_from_wide_to_narrow() -> None:
    products = pd.DataFrame(
        {
            "product_id": [26093, 26081],
            "manufacturer_id": [69, 2],
            "department": ["PASTRY", "MISCELLANEOUS"],
            "brand": ["Private", "National"],
            "product_category": ["BREAD", None],
            "product_type": ["BREAD:ITALIAN/FRENCH", None],
            "package_size": ["12 OZ", None],
        }
    )
    planned = pd.Series({"26093": "2026-10-20/2026-10-26=0.5"})
    bread, other = items(products, pd.Series({"26081": "mailer"}), planned).to_dict("records")
    assert (bread["promotion"], other["promotion"]) == ("none", "mailer")
    assert (bread["promotion_calendar"], other["promotion_calendar"]) == (planned.iloc[0], "none")
    assert (bread["title"], other["title"]) == ("Bread: Italian/French, 12 OZ", "Miscellaneous")  # models learn from it
    assert (bread["display_title"], other["display_title"]) == (
        "Italian/French Bread, 12 oz (store brand)", "Miscellaneous",
    )  # fmt: skip
    assert (bread["category_1"], bread["category_2"], bread["maker"]) == ("PASTRY", "BREAD", "69")


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("MEAT|BEEF|LEAN|National|", "Lean Beef"),
        ("MEAT|BEEF|CHOICE BEEF|National|", "Choice Beef"),
        ("MEAT-PCKGD|HEAT/SERVE|ENTREES|National|24 OZ", "Heat & Serve Entrees, 24 oz"),
        (
            "GROCERY|REFRGRATD DOUGH PRODUCTS|REFRIGERATED SPECILATY ROLLS|National|8 OZ",
            "Refrigerated Specialty Rolls, 8 oz",
        ),
        (
            "GROCERY|SOFT DRINKS|SFT DRNK 2 LITER BTL CARB INCL|Private|2 L",
            "Soft Drink, Large Bottle, 2 L (store brand)",
        ),
        ("GROCERY|FLUID MILK PRODUCTS|FLUID MILK WHITE ONLY|Private|1 GA", "White Milk, 1 gal (store brand)"),
        ("GROCERY|CHEESE|CREAM CHEESE|National|L      8 OZ", "Cream Cheese, 8 oz"),
        ("GROCERY|EGGS|EGGS - X-LARGE|Private|1 DZ", "X-Large Eggs, 1 dozen (store brand)"),
        ("PRODUCE|APPLES|APPLES GALA (BULK&BAG)|National|40 LB", "Gala Apples"),
        ("PRODUCE|POTATOES|POTATOES RUSSET (BULK&BAG)|Private|5 LB", "Russet Potatoes, 5 lb (store brand)"),
        ("DELI|DELI MEATS|MEAT:HAM BULK|National|", "Ham"),
        ("DRUG GM|CIGARETTES|CIGARETTES|National|974246  PK", "Cigarettes"),
        ("||||", "Unnamed Product"),
    ],
)
def test_a_title_says_what_it_is_how_much_and_whose_brand(source: str, shown: str) -> None:
    assert title(*source.split("|")) == shown


def test_a_slice_of_households_and_weeks_tells_the_day_its_last_week_ends(tmp_path: Path) -> None:
    meta = write(Slice(1, 48, date(2026, 11, 23), households=5), tmp_path)
    made = pd.read_parquet(tmp_path / "events.parquet")
    assert (meta["households"], made["user_id"].nunique(), made["week"].max()) == (5, 5, 48)
    assert meta["as_of_day"] == made["timestamp"].max().date().isoformat() == meta["last_day_of_week"]["48"]
    catalogue = pd.read_parquet(tmp_path / "items.parquet")
    assert len(set(made["item_id"]) - set(catalogue["item_id"])) < 4  # a few lines are of products that no table lists
    assert 1000 < len(catalogue) < 2000
    assert (catalogue["promotion"] != "none").sum() == meta["promoted"] > 100


def test_a_product_promoted_in_one_store_is_in_promotion_and_one_promoted_in_none_is_not() -> None:
    rows = pd.DataFrame(
        {
            "product_id": [1, 1, 2, 3, 3],
            "display_location": ["0", "7", "0", "0", "5"],
            "mailer_location": ["0", "0", "0", "A", "0"],
        }
    )
    assert promotions(rows).to_dict() == {"1": "display", "3": "display and mailer"}


def test_the_calendar_has_the_share_of_the_stores_of_each_week_that_promote_a_product() -> None:
    rows = pd.DataFrame(
        {
            "product_id": [1, 1, 2, 1, 2],
            "store_id": [10, 11, 12, 10, 10],
            "week": [7, 7, 7, 8, 8],
            "display_location": [True, False, False, True, False],
            "mailer_location": [True, True, False, False, True],
        }
    )
    spans = {7: (date(2026, 10, 6), date(2026, 10, 12)), 8: (date(2026, 10, 13), date(2026, 10, 19))}
    assert calendar(rows, spans).to_dict() == {
        "1": "2026-10-06/2026-10-12=0.667 2026-10-13/2026-10-19=1.000",
        "2": "2026-10-13/2026-10-19=1.000",
    }
