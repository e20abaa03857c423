"""Earlier holdouts that the ranker of a day learns from and no run has prepared yet, as after an import of history."""

from __future__ import annotations

from datetime import date, timedelta

from pyspark.sql import functions as F

from headrace.settings import Settings
from headrace.tables import GOLD_RANKING_EXAMPLES, SILVER_EVENTS
from jobs.batch.lake import Lake


def lacking_holdouts(lake: Lake, settings: Settings, day: date) -> list[date]:
    """Last days of those without ranking examples, oldest first.

    Only where events reach back a holdout's length before it: else there is too little to know anybody by.
    """
    wanted = settings.training.earlier_days(day)
    if not wanted or not lake.exists(SILVER_EVENTS):
        return []
    made: set[date] = set()
    if lake.exists(GOLD_RANKING_EXAMPLES):
        of_wanted = lake.read(GOLD_RANKING_EXAMPLES).where(F.col("day").isin(wanted))
        made = {row["day"] for row in of_wanted.select("day").distinct().collect()}
    (first,) = lake.read(SILVER_EVENTS).agg(F.min("day")).collect()[0]
    reach = timedelta(days=2 * settings.training.holdout_days)
    return [each for each in reversed(wanted) if each not in made and first and first <= each - reach]
