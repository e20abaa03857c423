"""Impossible rates are flagged, the events stay, and features do not count them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from headrace.settings import Settings
from headrace.settings.jobs import CleanSettings
from headrace.tables import GOLD_ITEM_FEATURES, SILVER_BOTS, SILVER_EVENTS
from jobs.batch.clean.job import clean
from jobs.batch.engine.lake import Lake
from jobs.batch.features.job import compute_features
from jobs.batch.ingest.files_job import Inputs, ingest_files
from tests.jobs.batch.worlds import AS_OF, DAY, collected, days_before, json_lines, purchase

LIMITS = CleanSettings(moments_per_minute=5, events_per_day=20)


def views(user: str, count: int, seconds: int) -> list[dict[str, Any]]:
    """Views of milk, one every so many seconds from noon on."""
    noon = AS_OF - timedelta(hours=12)
    return [
        {
            **{"event_id": f"{user}-{n}", "event_type": "view", "user_id": user, "item_id": "milk"},
            "timestamp": (noon + timedelta(seconds=n * seconds)).isoformat(),
        }
        for n in range(count)
    ]


@pytest.fixture(scope="module")
def world(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A crawler (one view a second), a busy script (one a minute), a big receipt, a person."""
    folder = tmp_path_factory.mktemp("machines")
    settings = Settings(home=folder)
    lake = Lake(spark, settings.lake_root)
    receipt = [purchase(f"r{n}", "family", f"item-{n}", days_before(0)) for n in range(19)]
    events = [*views("crawler", 6, 1), *views("script", 21, 60), *receipt, *views("person", 5, 1)]
    ingest_files(lake, Inputs(events=[json_lines(folder / "events.jsonl", events)]), AS_OF)
    done = clean(lake, LIMITS)
    assert (done.events, done.bots) == (51, 2)
    compute_features(lake, settings, DAY)
    return lake


def test_more_moments_in_a_minute_or_events_on_a_day_than_allowed_are_flagged_with_what_was_seen(world: Lake) -> None:
    flagged = [(r["subject_id"], r["reason"], r["seen"], r["allowed"]) for r in collected(world, SILVER_BOTS)]
    assert flagged == [("crawler", "too_fast", 6, 5), ("script", "too_many", 21, 20)]


def test_their_events_stay_in_silver_and_do_not_make_an_item_popular(world: Lake) -> None:
    assert len(collected(world, SILVER_EVENTS)) == 51
    popularity = {row["item_id"]: row["popularity"] for row in collected(world, GOLD_ITEM_FEATURES)}
    assert popularity["milk"] == 1.0  # the person's
    assert popularity["item-3"] == 1.0


def test_more_events_of_a_day_judge_it_anew(world: Lake, tmp_path: Path) -> None:
    last = json_lines(tmp_path / "more.jsonl", [purchase("r19", "family", "tea", days_before(0)), *views("late", 9, 1)])
    ingest_files(world, Inputs(events=[last]), AS_OF)
    assert clean(world, LIMITS).bots == 3
    assert [row["subject_id"] for row in collected(world, SILVER_BOTS)] == ["crawler", "late", "script"]


def test_days_that_a_run_cut_off_did_not_judge_are_judged_by_the_next(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> int:
        raise KeyboardInterrupt

    lake = Lake(spark, f"{tmp_path}/lake")
    ingest_files(lake, Inputs(events=[json_lines(tmp_path / "events.jsonl", views("crawler", 6, 1))]), AS_OF)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("jobs.batch.clean.job.flag_bots", killed)
        clean(lake, LIMITS)
    assert not lake.exists(SILVER_BOTS)
    done = clean(lake, LIMITS)
    assert (done.events, done.bots) == (0, 1)
    assert clean(lake, LIMITS).bots == 0, "nothing is new"
