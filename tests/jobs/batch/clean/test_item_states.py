"""Price, availability, promotion and block have a history of their own, apart from the description's."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from headrace.events import EARLIEST_TIMESTAMP
from headrace.settings.jobs import CleanSettings
from headrace.tables import SILVER_ITEM_STATES, SILVER_ITEMS
from jobs.batch.clean.item_rules import checked_items
from jobs.batch.clean.item_states import next_states, with_states
from jobs.batch.clean.job import clean, rejected_rows
from jobs.batch.clean.profiles import next_versions
from jobs.batch.engine.lake import Lake
from jobs.batch.ingest.files_job import Inputs, ingest_files
from tests.jobs.batch.worlds import AS_OF, json_lines

MONDAY, TUESDAY, FRIDAY = (AS_OF - timedelta(days=days) for days in (5, 4, 1))


class Catalogue:
    """Descriptions and states after the items files given so far, without a lake."""

    def __init__(self, spark: SparkSession) -> None:
        lake = Lake(spark, "/nowhere")
        self._spark = spark
        self._items, self._states = lake.read(SILVER_ITEMS, -1), lake.read(SILVER_ITEM_STATES, -1)

    def judged(self, received: datetime, *rows: dict[str, Any]) -> DataFrame:
        raw = [(json.dumps(row), "file:shop.jsonl#0123456789abcdef", n) for n, row in enumerate(rows, start=1)]
        made = self._spark.createDataFrame(raw, "raw string, source string, source_offset long")
        return checked_items(made.withColumn("received_at", F.lit(received)).withColumn("arrival", F.lit(1)))

    def take(self, received: datetime, *rows: dict[str, Any]) -> None:
        good = self.judged(received, *rows).where("refused IS NULL")
        self._items = next_versions(self._items, good, SILVER_ITEMS).localCheckpoint()
        self._states = next_states(self._states, good).localCheckpoint()

    def descriptions(self) -> list[tuple[Any, ...]]:
        return [tuple(utc(each) for each in row) for row in of(self._items, "title", "brand", "valid_from")]

    def of_states(self, *names: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in of(self._states, *names)]

    def states(self) -> list[tuple[Any, ...]]:
        return versions(self._states)


@pytest.fixture
def catalogue(spark: SparkSession) -> Catalogue:
    return Catalogue(spark)


def versions(states: DataFrame, item: str = "tea") -> list[tuple[Any, ...]]:
    """(price, available, promotion, blocked, since) of each version, oldest first; checks that they follow on."""
    rows = of(states.where(F.col("item_id") == item), "price", "available", "promotion", "blocked", "valid_from")
    ends = [row[0] for row in of(states.where(F.col("item_id") == item), "valid_to")]
    assert ends == [*(row["valid_from"] for row in rows[1:]), None]
    return [tuple(utc(each) for each in row) for row in rows]


def of(table: DataFrame, *names: str) -> list[Any]:
    return table.orderBy("item_id", "valid_from").select(*names).collect()


def utc(value: Any) -> Any:
    return value.replace(tzinfo=EARLIEST_TIMESTAMP.tzinfo) if isinstance(value, datetime) else value


def test_a_price_list_makes_a_version_of_the_price_only_and_a_new_title_of_the_title_only(catalogue: Catalogue) -> None:
    tea = {"item_id": "tea", "title": "Tea", "brand": "Own", "price": 1, "shop": "B"}
    catalogue.take(MONDAY, tea)
    catalogue.take(TUESDAY, {"item_id": "tea", "title": None, "price": 2})
    catalogue.take(FRIDAY, {**tea, "title": "Mint tea", "price": None})
    assert catalogue.descriptions() == [("Tea", "Own", EARLIEST_TIMESTAMP), ("Mint tea", "Own", FRIDAY)]
    assert catalogue.states() == [(1.0, True, None, False, EARLIEST_TIMESTAMP), (2.0, True, None, False, TUESDAY)]


def test_what_a_row_does_not_mention_stays_and_none_ends_a_promotion(catalogue: Catalogue) -> None:
    catalogue.take(MONDAY, {"item_id": "tea", "price": 3, "promotion": "Two for one"})
    catalogue.take(TUESDAY, {"item_id": "tea", "blocked": "yes", "available": 0})
    catalogue.take(FRIDAY, {"item_id": "tea", "promotion": "NONE", "blocked": "no"})
    catalogue.take(AS_OF, {"item_id": "tea", "promotion": "", "price": 3.0})
    assert catalogue.states() == [
        (3.0, True, "Two for one", False, EARLIEST_TIMESTAMP),
        (3.0, False, "Two for one", True, TUESDAY),
        (3.0, False, None, False, FRIDAY),
    ]
    assert catalogue.descriptions() == [("tea", None, EARLIEST_TIMESTAMP)]  # a price list makes an item known


def test_a_promotion_calendar_is_a_state_that_a_later_one_replaces_and_none_ends(catalogue: Catalogue) -> None:
    october, november = "2026-10-05/2026-10-11=0.25 2026-10-19/2026-10-25=1", "2026-11-02/2026-11-08=.5"
    for received, calendar in ((MONDAY, october), (TUESDAY, None), (FRIDAY, november), (AS_OF, "none")):
        catalogue.take(received, {"item_id": "tea", "price": 3, "promotion_calendar": calendar})
    assert catalogue.of_states("promotion_calendar") == [(october,), (november,), (None,)]


def test_a_state_that_cannot_be_read_is_refused_with_its_row_and_field(catalogue: Catalogue) -> None:
    rows = [
        {"item_id": "tea", "available": "maybe"},
        {"item_id": "tea", "blocked": 2},
        {"item_id": "tea", "price": -1},
        {"item_id": "tea", "promotion_calendar": "2026-10-05/2026-10-11=40%"},
    ]
    refused = rejected_rows(catalogue.judged(MONDAY, *rows)).orderBy("source_offset").select("message").collect()
    assert [row["message"] for row in refused] == [
        "shop.jsonl, row 1: 'available': \"maybe\" is neither yes nor no",
        "shop.jsonl, row 2: 'blocked': \"2\" is neither yes nor no",
        "shop.jsonl, row 3: 'price': \"-1\" is not a number from 0 to 1e+06",
        "shop.jsonl, row 4: 'promotion_calendar': \"2026-10-05/2026-10-11=40%\" is not a list of FIRST/LAST=SHARE",
    ]


def test_each_moment_has_the_states_of_the_later_arrival_however_many_files_a_run_cleans(
    lake: Lake, tmp_path: Path
) -> None:
    first = [{"item_id": "tea", "price": 3, "available": False}, {"item_id": "milk", "price": 1}, {"item_id": "soap"}]
    second = [{"item_id": "tea", "price": 4}, {"item_id": "tea", "promotion": "spring"}]
    earlier_clock, later_clock = [{"item_id": "milk", "price": 2}], [{"item_id": "tea", "price": 5, "blocked": True}]
    files = [("z", first, TUESDAY), ("a", second, TUESDAY), ("m", earlier_clock, MONDAY), ("f", later_clock, FRIDAY)]
    for name, rows, received in files:
        ingest_files(lake, Inputs(items=[json_lines(tmp_path / f"{name}.jsonl", rows)]), received)
    assert clean(lake, CleanSettings()).items == 7
    items, states = lake.read(SILVER_ITEMS), lake.read(SILVER_ITEM_STATES)
    assert versions(states, "tea") == [
        (3.0, False, None, False, EARLIEST_TIMESTAMP),
        (4.0, False, "spring", False, TUESDAY),
        (5.0, False, "spring", True, FRIDAY),
    ]
    assert versions(states, "milk") == [
        (1.0, True, None, False, EARLIEST_TIMESTAMP),
        (2.0, True, None, False, MONDAY),
    ]
    names = ("item_id", "price", "available", "blocked")
    before, after = ([tuple(row) for row in of(with_states(items, states, at), *names)] for at in (TUESDAY, FRIDAY))
    assert before == [("milk", 2.0, True, False), ("soap", None, True, False), ("tea", 4.0, False, False)]
    assert after == [("milk", 2.0, True, False), ("soap", None, True, False), ("tea", 5.0, False, True)]


def test_an_item_blocked_again_by_the_file_of_the_first_day_is_blocked_and_a_repeated_delivery_changes_nothing(
    lake: Lake, tmp_path: Path
) -> None:
    stock = tmp_path / "stock.csv"

    def deliver(received: datetime, blocked: str) -> int:
        stock.write_text(f"item_id,blocked\ntea,{blocked}\n")
        rows = ingest_files(lake, Inputs(items=[stock]), received)
        clean(lake, CleanSettings())
        return rows

    days = [(MONDAY, "yes"), (TUESDAY, "no"), (FRIDAY, "yes")]
    assert [deliver(*day) for day in days] == [1, 1, 1]
    assert [deliver(*day) for day in days] == [0, 0, 0]
    assert [(row[3], row[4]) for row in versions(lake.read(SILVER_ITEM_STATES))] == [
        (True, EARLIEST_TIMESTAMP),
        (False, TUESDAY),
        (True, FRIDAY),
    ]
    assert [deliver(FRIDAY, blocked) for blocked in ("no", "yes", "no")] == [1, 1, 1]  # changed its mind within a day
    assert [row[3] for row in versions(lake.read(SILVER_ITEM_STATES))] == [True, False, False]
