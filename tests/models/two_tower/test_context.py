"""The moment of the newest event as an input of the user tower: the same in training and in serving, and learned."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from headrace.features.context import weekday_of
from headrace.features.user_row import MICROSECONDS_PER_DAY, HistoryEvent
from headrace.features.user_tower import MOMENT_VOCABULARIES, TowerEncoder, load_user_tower
from headrace.release.bundle import open_release
from headrace.release.catalogue import load_catalogue
from models.train_retrieval import train_retrieval
from models.two_tower.examples.sequences import ExampleCutter, find_occasions
from models.two_tower.examples.windows import WindowCutter
from tests.models.conftest import settings_in
from tests.models.planted_world import DAY, World, microseconds
from tests.models.two_tower.test_sequences import ITEMS, sequences

SATURDAY = 5
MONDAY_NOON = 4.5 * MICROSECONDS_PER_DAY  # 1970-01-05


class AfterTheWeekend(World):
    """Everybody takes something of taste 1 after an event of a weekend, and of taste 0 after one of a working day."""

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.seed)
        for user in range(self.users):
            days = np.sort(random.choice(84, 40, replace=False))[::-1]
            times = [microseconds(DAY) - (int(day) + 0.5) * MICROSECONDS_PER_DAY for day in days]
            for number, (before, time) in enumerate(pairwise(times)):
                item = f"item-{int(weekday_of(before) >= SATURDAY)}-{random.integers(6)}"
                self.events[f"user-{user}"].append((int(time), f"e{user}-{number}", item))

    def item_ids(self) -> list[str]:
        return [f"item-{taste}-{number}" for taste in (0, 1) for number in range(6)]


@pytest.mark.parametrize("user_tower", ["pooling", "attention"])
def test_what_follows_from_the_weekday_is_learned_and_served(tmp_path: Path, user_tower: str):
    settings = settings_in(tmp_path, tower_context=True, user_tower=user_tower, attention_layers=1)
    AfterTheWeekend(users=60).write(Path(settings.lake_root))
    release = open_release(train_retrieval(settings, DAY) / "retrieval")
    catalogue = load_catalogue(release)
    tower = load_user_tower(release, catalogue.row_of)

    def first_six(shift_days: int) -> set[str]:
        times = [int(MONDAY_NOON) + (7 * week + shift_days) * MICROSECONDS_PER_DAY for week in range(12)]
        history = [
            HistoryEvent(time, f"e{time}", f"item-{place % 2}-{place % 6}", "purchase")
            for place, time in enumerate(times)
        ]
        best = np.argsort(-(catalogue.embeddings @ tower.vectors([history], [{"age": "young"}])[0]))[:6]
        return {catalogue.item_ids[row].split("-")[1] for row in best}

    assert first_six(shift_days=0) == {"0"}
    assert first_six(shift_days=SATURDAY) == {"1"}


def test_training_reads_the_moment_that_serving_reads():
    users = [[(3.5, "a"), (4.75, "b"), (4.75, "c"), (9, "d")], [(4.5, "b"), (6, "a")]]
    data = sequences(*users)
    data = replace(data, profile=np.zeros((2, len(MOMENT_VOCABULARIES)), np.int32))
    occasions = find_occasions(data)
    histories = [
        [HistoryEvent(int(day * MICROSECONDS_PER_DAY), "", item, "purchase") for day, item in users[user][:length]]
        for user, length in ((0, 1), (0, 3), (1, 1))
    ]
    encoder = TowerEncoder(
        {item: row for row, item in enumerate(ITEMS)}, {"event_types": ["purchase"], **MOMENT_VOCABULARIES}, 5
    )
    served = encoder.encode([*histories, []], [{}] * 4).profile
    assert served.tolist() == [[13, 7], [19, 1], [13, 1], [0, 0]]  # Sunday noon, Monday at six, Monday noon, nothing
    for cutter in (ExampleCutter(5, 84, 1, reads_moment=True), WindowCutter(5, 84, 1, reads_moment=True)):
        assert cutter.history(data, occasions)["profile"].tolist() == served[:3].tolist()
