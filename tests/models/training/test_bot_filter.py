"""Flagged bots: their events of the day they were flagged for are left out, those of other days stay."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from headrace import tables
from headrace.errors import BadInputError
from models.baselines.interactions import read_interactions
from models.evaluation.ground_truth import later_events
from models.training.gold import Lake
from tests.models.planted_world import put

MONDAY, TUESDAY = date(2026, 11, 23), date(2026, 11, 24)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Ann takes tea and a crawler milk on both days; it was flagged for Monday."""
    events = [
        {
            "event_id": f"{user}-{day}",
            "event_type": "purchase",
            "subject_id": user,
            "user_id": user,
            "item_id": item,
            "value": 1.0,
            "timestamp": datetime(day.year, day.month, day.day, 23, 59, tzinfo=UTC),
            "day": day,
        }
        for user, item in (("ann", "tea"), ("crawler", "milk"))
        for day in (MONDAY, TUESDAY)
    ]
    put(tmp_path, tables.SILVER_EVENTS, events)
    put(tmp_path, tables.SILVER_BOTS, [{"subject_id": "crawler", "reason": "too_fast", "day": MONDAY}])
    return Lake(str(tmp_path))


def test_baselines_do_not_learn_from_bots(lake: Lake):
    found = read_interactions(lake, tables.end_of(TUESDAY))
    taken = [(found.user_ids[user], found.item_ids[item]) for user, item in zip(found.users, found.items, strict=True)]
    assert sorted(taken) == [("ann", "tea"), ("ann", "tea"), ("crawler", "milk")]
    assert read_interactions(lake, tables.end_of(MONDAY)).user_ids == ["ann"]


def test_bots_are_not_among_the_users_of_later_events(lake: Lake, tmp_path: Path):
    import pyarrow.parquet as pq

    sunday = date(2026, 11, 22)
    assert pq.read_table(later_events(lake, sunday, tmp_path)).column("user_id").to_pylist().count("crawler") == 1
    with pytest.raises(BadInputError, match="no event after"):
        later_events(lake, TUESDAY, tmp_path)
