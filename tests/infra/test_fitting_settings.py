"""Settings that fit a file of events, with dates and numbers that can be checked by eye."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from headrace.errors import BadInputError
from headrace.settings import Settings
from headrace.settings.jobs import FeatureSettings, TrainingSettings
from headrace.tables import SILVER_EVENTS
from infra.fitting_settings import EXAMPLES_SEEN, LARGEST_CATALOGUE, MOST_EPOCHS, Accepted, accepted, fitting

FIRST, LAST = date(2000, 1, 1), date(2020, 1, 1)
YEARS = Accepted(FIRST, date(2012, 1, 1), LAST, events=1000, items=10)


def lake_of(tmp_path: Path, *days: date) -> Settings:
    settings = Settings(home=tmp_path)
    items = pa.array([f"i{place % 2}" for place in range(len(days))], pa.string())
    table = pa.table({"day": pa.array(days, pa.date32()), "item_id": items})
    write_deltalake(f"{settings.lake_root}/{SILVER_EVENTS.path}", table)
    return settings


def test_what_was_accepted_has_a_first_a_middle_and_a_last_day(tmp_path: Path):
    days = [date(2026, 11, day) for day in (9, 2, 2, 5)]
    assert accepted(lake_of(tmp_path, *days)) == Accepted(days[1], days[1], days[0], events=4, items=2)
    assert accepted(lake_of(tmp_path / "one", FIRST)).last == FIRST + timedelta(days=1)
    with pytest.raises(BadInputError, match="no event of the training file was accepted"):
        accepted(lake_of(tmp_path / "none"))


def test_windows_of_a_set_that_covers_years_hold_half_of_its_events():
    years = fitting(Settings(), YEARS, without_times=False, ids_alone=False).training
    assert (years.retrieval_days, years.example_half_life_days) == (2923, 2923 / 2)
    assert years.holdout_days == 28
    months = replace(YEARS, first=LAST - timedelta(days=100), middle=LAST - timedelta(days=50))
    short = fitting(Settings(), months, without_times=False, ids_alone=False).training
    assert (short.retrieval_days, short.holdout_days) == (168, 10)


def test_without_times_the_towers_learn_otherwise_but_what_was_set_stays():
    given = Settings(training=TrainingSettings(repeat_weight=0.3), features=FeatureSettings(history_length=30))
    found = fitting(given, YEARS, without_times=True, ids_alone=False)
    assert found.training.repeat_weight == 0.3
    assert found.features.history_length == 30
    assert (found.training.retrieval_negatives, found.training.retrieval_reorders) == ("catalogue", True)
    assert found.training.ranker_trees > 0
    assert fitting(given, YEARS, without_times=True, ids_alone=True).training.ranker_trees == 0
    many = replace(YEARS, items=LARGEST_CATALOGUE + 1)
    assert fitting(given, many, without_times=True, ids_alone=True).training.retrieval_negatives == "batch"


@pytest.mark.parametrize(("events", "epochs"), [(1, MOST_EPOCHS), (EXAMPLES_SEEN // 4, 4), (EXAMPLES_SEEN * 9, 1)])
def test_the_more_events_the_fewer_passes_over_them(events: int, epochs: int):
    found = fitting(Settings(), replace(YEARS, events=events), without_times=True, ids_alone=True)
    assert found.training.retrieval_epochs == epochs
