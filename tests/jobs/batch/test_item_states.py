"""Price, availability, promotion and block have a history of their own, apart from the description's."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from headrace.events import EARLIEST_TIMESTAMP
from headrace.settings import Settings
from headrace.settings_groups import CleanSettings
from headrace.tables import GOLD_ITEM_FEATURES, REJECTED_EVENTS, SILVER_ITEM_STATES, SILVER_ITEMS
from jobs.batch.clean import clean
from jobs.batch.features_job import compute_features
from jobs.batch.ingest import Inputs, ingest_files
from jobs.batch.item_states import with_states
from jobs.batch.lake import Lake
from tests.jobs.batch.worlds import AS_OF, DAY, collected, json_lines, take_in

MONDAY, TUESDAY, FRIDAY = (AS_OF - timedelta(days=days) for days in (5, 4, 1))


def states(lake: Lake, item: str) -> list[tuple[Any, ...]]:
    """(price, available, promotion, blocked, since) of each version, oldest first; checks that they follow on."""
    rows = [row for row in collected(lake, SILVER_ITEM_STATES, "item_id", "valid_from") if row["item_id"] == item]
    assert [row["valid_to"] for row in rows] == [*(row["valid_from"] for row in rows[1:]), None]
    names = ("price", "available", "promotion", "blocked", "valid_from")
    return [tuple(utc(row[name]) for name in names) for row in rows]


def utc(value: Any) -> Any:
    return value.replace(tzinfo=EARLIEST_TIMESTAMP.tzinfo) if hasattr(value, "tzinfo") else value


def test_a_price_list_makes_a_version_of_the_price_only_and_a_new_title_of_the_title_only(
    lake: Lake, tmp_path: Path
) -> None:
    milk = {"item_id": "milk", "title": "Milk", "brand": "Own", "price": 1, "shop": "B"}
    take_in(lake, tmp_path, "a", received=MONDAY, items=[milk])
    take_in(lake, tmp_path, "b", received=TUESDAY, items=[{"item_id": "milk", "title": None, "price": 2}])
    take_in(lake, tmp_path, "c", received=FRIDAY, items=[{**milk, "title": "Oat milk", "price": None}])
    titles = [(row["title"], row["brand"], utc(row["valid_from"])) for row in collected(lake, SILVER_ITEMS)]
    assert titles == [("Milk", "Own", EARLIEST_TIMESTAMP), ("Oat milk", "Own", FRIDAY)]
    assert states(lake, "milk") == [(1.0, True, None, False, EARLIEST_TIMESTAMP), (2.0, True, None, False, TUESDAY)]


def test_what_a_row_does_not_mention_stays_and_none_ends_a_promotion(lake: Lake, tmp_path: Path) -> None:
    take_in(lake, tmp_path, "a", received=MONDAY, items=[{"item_id": "tea", "price": 3, "promotion": "Two for one"}])
    take_in(lake, tmp_path, "b", received=TUESDAY, items=[{"item_id": "tea", "blocked": "yes", "available": 0}])
    take_in(lake, tmp_path, "c", received=FRIDAY, items=[{"item_id": "tea", "promotion": "NONE", "blocked": "no"}])
    take_in(lake, tmp_path, "d", received=AS_OF, items=[{"item_id": "tea", "promotion": "", "price": 3.0}])
    assert states(lake, "tea") == [
        (3.0, True, "Two for one", False, EARLIEST_TIMESTAMP),
        (3.0, False, "Two for one", True, TUESDAY),
        (3.0, False, None, False, FRIDAY),
    ]
    assert [row["title"] for row in collected(lake, SILVER_ITEMS)] == ["tea"]  # a price list makes an item known


def test_of_two_files_of_one_run_the_later_arrival_wins_for_each_state(lake: Lake, tmp_path: Path) -> None:
    first = [{"item_id": "tea", "price": 3, "available": False}, {"item_id": "milk", "price": 1}]
    second = [{"item_id": "tea", "price": 4}, {"item_id": "tea", "promotion": "spring"}]
    earlier_clock = [{"item_id": "milk", "price": 2}]
    for name, rows, received in (("z", first, TUESDAY), ("a", second, TUESDAY), ("m", earlier_clock, MONDAY)):
        ingest_files(lake, Inputs(items=[json_lines(tmp_path / f"{name}.jsonl", rows)]), received)
    ingest_files(lake, Inputs(items=[json_lines(tmp_path / "f.jsonl", [{"item_id": "tea", "price": 5}])]), FRIDAY)
    assert clean(lake, CleanSettings()).items == 6
    assert states(lake, "tea") == [
        (4.0, False, "spring", False, EARLIEST_TIMESTAMP),
        (5.0, False, "spring", False, FRIDAY),
    ]
    assert states(lake, "milk") == [(2.0, True, None, False, EARLIEST_TIMESTAMP)]


def test_a_state_that_cannot_be_read_is_refused_with_its_row_and_field(lake: Lake, tmp_path: Path) -> None:
    rows = [{"item_id": "tea", "available": "maybe"}, {"item_id": "tea", "blocked": 2}, {"item_id": "tea", "price": -1}]
    done = take_in(lake, tmp_path, "a", items=rows)
    assert (done.rejected, done.items) == (3, 0)
    assert [row["message"] for row in collected(lake, REJECTED_EVENTS, "source_offset")] == [
        "a-items.jsonl, row 1: 'available': \"maybe\" is neither yes nor no",
        "a-items.jsonl, row 2: 'blocked': \"2\" is neither yes nor no",
        "a-items.jsonl, row 3: 'price': \"-1\" is no number from 0 to 1e+06",
    ]


def test_features_and_readers_see_the_states_as_of_their_moment(lake: Lake, settings: Settings, tmp_path: Path) -> None:
    take_in(lake, tmp_path, "a", received=MONDAY, items=[{"item_id": "tea", "price": 3}, {"item_id": "milk"}])
    later = AS_OF + timedelta(days=1)
    take_in(lake, tmp_path, "b", received=later, items=[{"item_id": "tea", "price": 9, "blocked": True}])
    for day, price in ((DAY, 3.0), (DAY + timedelta(days=1), 9.0)):
        compute_features(lake, settings, day)
        rows = [row for row in collected(lake, GOLD_ITEM_FEATURES) if row["day"] == day]
        assert [(row["item_id"], str(row["price"])) for row in rows] == [("milk", "nan"), ("tea", str(price))]
    for moment, blocked in ((AS_OF, False), (later, True)):
        seen = with_states(lake.read(SILVER_ITEMS), lake.read(SILVER_ITEM_STATES), moment).orderBy("item_id").collect()
        assert [(row["available"], row["blocked"]) for row in seen] == [(True, False), (True, blocked)]
