"""Inputs of a day's training sets: the tables' versions and the settings, recorded in the commits of the sets."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from headrace.errors import HeadraceError
from headrace.release.code_version import code_version
from headrace.settings import Settings
from headrace.tables import GOLD_RANKING_EXAMPLES, GOLD_USER_FEATURES, SILVER_BOTS, SILVER_EVENTS, SILVER_USERS
from jobs.batch.engine.lake import Lake
from jobs.batch.engine.verified import published_versions

SOURCES = (SILVER_EVENTS, SILVER_BOTS, SILVER_USERS, GOLD_USER_FEATURES)
"""Source tables of training sets."""


@dataclass(frozen=True)
class Recipe:
    """The inputs that, with the same code, determine the files of a day's training sets."""

    versions: dict[str, int]
    """Delta version by the table's path; -1 where there was no table."""
    holdout_days: int
    retrieval_days: int
    history_length: int
    files: int
    """Number of files of each set, by hash of the user."""
    day: str
    code: str = ""
    """Version of the code; empty in sets from before it was recorded."""

    def note(self) -> dict[str, Any]:
        """As stored in the commit."""
        return {"training_sets": asdict(self)}


def current_recipe(lake: Lake, settings: Settings, day: date) -> Recipe:
    """The versions of silver that passed their checks, the newest ones of the other tables, and these settings."""
    published = published_versions(lake)
    return Recipe(
        versions={
            table.path: published[table.path] if table.path in published else lake.version(table) for table in SOURCES
        },
        holdout_days=settings.training.holdout_days,
        retrieval_days=settings.training.retrieval_days,
        history_length=settings.features.history_length,
        files=settings.spark.shuffle_partitions,
        day=day.isoformat(),
        code=code_version(),
    )


def recorded_recipe(lake: Lake, day: date) -> Recipe:
    """The recipe of the last build of `day`. Raises HeadraceError where there was none."""
    for note in lake.notes(GOLD_RANKING_EXAMPLES, "training_sets"):
        if note["day"] == day.isoformat():
            return Recipe(**note)
    raise HeadraceError(
        f"table gold.ranking_examples has no commit that records the inputs of the training sets of {day}",
        f"Build them first: python -m jobs.batch training_sets --day {day}",
    )
