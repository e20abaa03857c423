"""The release's item table: descriptions and states as they were at the end of a day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from headrace import tables
from headrace.events import EARLIEST_TIMESTAMP
from headrace.release.catalogue import offered_items, shown_titles
from models.training.gold import Lake
from models.two_tower.examples.item_table import item_table, popular_table, with_surprise
from tests.models.planted_world import DAY, put

EARLIER = date(2026, 10, 1)
CHANGED = datetime(2026, 10, 10, tzinfo=UTC)
CALENDAR = f"2026-10-14/{DAY}=0.5 2026-10-28/2026-11-10=0.4"
STATE = {"price": 2.0, "available": True, "blocked": False, "valid_from": EARLIEST_TIMESTAMP}


def shop(folder: Path) -> Lake:
    """Milk, tea and soap, all taken as often; on 10 October milk became dearer and soap was blocked."""
    names = ("milk", "soap", "tea")
    described: list[dict[str, Any]] = [
        {"item_id": name, "title": name.title(), "category_1": "shop", "valid_from": EARLIEST_TIMESTAMP}
        for name in names
    ]
    put(folder, tables.SILVER_ITEMS, described)
    before, after = {**STATE, "valid_to": CHANGED}, {**STATE, "valid_from": CHANGED, "valid_to": None}
    states = [
        {"item_id": "milk", **before},
        {"item_id": "milk", **after, "price": 3.0, "promotion": "autumn", "promotion_calendar": CALENDAR},
        {"item_id": "soap", **before},
        {"item_id": "soap", **after, "blocked": True},
        {"item_id": "bread", **STATE},  # nobody has described it
    ]
    put(folder, tables.SILVER_ITEM_STATES, states)
    put(folder, tables.SILVER_BOTS, [])
    for day in (EARLIER, DAY):
        rows = [{"item_id": name, "users_total": 5.0, "price": float("nan"), "day": day} for name in names]
        put(folder, tables.GOLD_ITEM_FEATURES, rows)
    return Lake(str(folder))


def test_states_are_those_at_the_end_of_the_day_and_an_item_without_a_state_is_available(tmp_path: Path) -> None:
    lake = shop(tmp_path)
    now, then = (item_table(lake, day).to_pydict() for day in (DAY, EARLIER))
    assert now["item_id"] == ["milk", "soap", "tea"]
    assert (now["price"][:2], then["price"][:2]) == ([3.0, 2.0], [2.0, 2.0])
    assert (now["promotion"], then["promotion"]) == (["autumn", None, None], [None] * 3)
    assert (now["blocked"], then["blocked"]) == ([False, True, False], [False] * 3)
    assert now["available"] == [True] * 3


def test_the_holdouts_items_have_the_states_of_its_start(tmp_path: Path) -> None:
    lake = shop(tmp_path)
    before = item_table(lake, DAY, known_on=EARLIER).to_pydict()
    assert (before["price"][:2], before["promotion"], before["blocked"]) == ([2.0, 2.0], [None] * 3, [False] * 3)


def test_a_title_for_people_is_shown_and_leaves_the_one_that_models_learn_from(tmp_path: Path) -> None:
    described = {"title": "LEAN", "category_1": "BEEF", "valid_from": EARLIEST_TIMESTAMP}
    shown = {"extra": '{"display_title":"Lean Beef","size":"1 LB"}'}
    put(tmp_path, tables.SILVER_ITEMS, [{"item_id": "1", **described, **shown}, {"item_id": "2", **described}])
    put(tmp_path, tables.SILVER_ITEM_STATES, [{"item_id": "1", **STATE}])
    put(tmp_path, tables.GOLD_ITEM_FEATURES, [{"item_id": name, "price": float("nan"), "day": DAY} for name in "12"])
    table = item_table(Lake(str(tmp_path)), DAY)
    assert table.column("title").to_pylist() == ["LEAN", "LEAN"]
    assert shown_titles(table).to_pylist() == ["Lean Beef", "LEAN"]
    assert shown_titles(table.drop_columns(["display_title"])).to_pylist() == ["LEAN", "LEAN"]  # a release of before


def test_where_an_item_is_promoted_is_what_was_announced_by_the_day(tmp_path: Path) -> None:
    lake = shop(tmp_path)
    now, then = (item_table(lake, day).to_pydict() for day in (DAY, EARLIER))
    in_the_past = (DAY - date(2026, 10, 13)).days * 0.5 / 56
    in_the_future = (date(2026, 11, 10) - date(2026, 10, 27)).days * 0.4 / 28
    assert now["promotion_past"] == pytest.approx([in_the_past, 0, 0])
    assert now["promotion_coming"] == pytest.approx([in_the_future, 0, 0])
    assert then["promotion_coming"] == then["promotion_past"] == [0] * 3  # told on 10 October
    assert item_table(lake, DAY, known_on=EARLIER).to_pydict()["promotion_coming"] == [0] * 3


def test_the_surprise_of_an_item_is_what_was_taken_more_than_in_the_weeks_before(tmp_path: Path) -> None:
    lake = shop(tmp_path)
    taken = [("milk", user, days) for user in range(5) for days in (3, 17, 31, 45, 60)]
    taken += [("soap", user, 3) for user in range(5)]
    events = [
        {
            "event_id": f"{item}-{user}-{days}",
            "event_type": "purchase",
            "subject_id": f"user-{user}",
            "item_id": item,
            "timestamp": tables.end_of(DAY) - timedelta(days=days),
            "value": 1.0,
        }
        for item, user, days in taken
    ]
    put(tmp_path, tables.SILVER_EVENTS, events)
    now, then = (with_surprise(item_table(lake, day), lake, day).to_pydict()["surprise"] for day in (DAY, EARLIER))
    assert now == [0, 5, 0]
    assert then[1] == 0  # soap came later


def test_a_blocked_item_is_neither_offered_nor_in_a_popular_list(tmp_path: Path) -> None:
    lake = shop(tmp_path)
    now, then = (item_table(lake, day) for day in (DAY, EARLIER))
    assert offered_items(now).tolist() == [True, False, True]
    assert (
        offered_items(now.drop_columns(["blocked"])).tolist() == [True] * 3
    )  # a release from before there were blocks
    assert popular_table(now).to_pydict()["item_row"] == [0, 2, 0, 2]
    assert popular_table(then).to_pydict()["item_row"] == [0, 1, 2, 0, 1, 2]
