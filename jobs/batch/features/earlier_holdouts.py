"""Earlier holdouts that the ranker of a day is trained on and no run has prepared, as after an import."""

from __future__ import annotations

from datetime import date, timedelta

from pyspark.sql import functions as F

from headrace.settings import Settings
from headrace.tables import GOLD_RANKING_EXAMPLES, GOLD_USER_FEATURES, SILVER_EVENTS, Table
from jobs.batch.engine.lake import Lake


def lacking_holdouts(lake: Lake, settings: Settings, day: date, *, with_features: bool = False) -> list[date]:
    """Last days of those without ranking examples, oldest first; `with_features` only those whose users' features of
    the day before are there to make them of.

    Only where events reach back a holdout's length before it: else users have too little history.
    """
    wanted = settings.training.earlier_days(day)
    if not wanted or not lake.exists(SILVER_EVENTS):
        return []
    length = timedelta(days=settings.training.holdout_days)
    (first,) = lake.read(SILVER_EVENTS).agg(F.min("day")).collect()[0]
    made = _days(lake, GOLD_RANKING_EXAMPLES, wanted)
    lacking = [each for each in reversed(wanted) if each not in made and first and first <= each - 2 * length]
    if with_features:
        known = _days(lake, GOLD_USER_FEATURES, [each - length for each in lacking])
        lacking = [each for each in lacking if each - length in known]
    return lacking


def _days(lake: Lake, table: Table, among: list[date]) -> set[date]:
    if not among or not lake.exists(table):
        return set()
    return {row["day"] for row in lake.read(table).where(F.col("day").isin(among)).select("day").distinct().collect()}
