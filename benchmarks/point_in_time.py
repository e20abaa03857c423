"""Point-in-time join: ours against Feast's own Spark offline store (`get_historical_features`), identical rows.

    python -m benchmarks.point_in_time [--users 1000] [--days 365] [--labels 20000] [--rounds 2]

Both join the same labels (user, time) with the same Delta table of user features, all columns, in the same Spark
session, honour `created_timestamp` as well as `event_timestamp` and write Parquet; the runs alternate, and both run
once on a few rows before the clock. One feature row in ten was computed two days after the moment that it speaks of.
A year of daily features by default: Feast pairs each label with all earlier rows of its user before it chooses one.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import timedelta
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from benchmarks.gold_users import LAST_DAY, write_users
from benchmarks.report import in_turns, report
from feature_repo.store import apply, feature_store
from headrace.features.rows import USER_KEY, USER_VIEW, feature_names
from headrace.settings import Settings
from headrace.tables import GOLD_USER_FEATURES, end_of, microseconds
from jobs.batch.engine.lake import Lake
from jobs.batch.engine.session import spark_session
from jobs.batch.training.point_in_time import point_in_time

GOAL = 5.0
FEATURES = feature_names(GOLD_USER_FEATURES.schema)
LABEL_TIME = "label_time"


class ChampionChallenger:
    """One lake of so many users and days, and the labels to join with it."""

    def __init__(self, lake: Lake, settings: Settings, users: int, days: int, labels: int) -> None:
        self._lake = Lake(lake.spark, f"{lake.root}-{users}")
        late = F.pmod(F.xxhash64("user_id", "event_timestamp"), F.lit(10)) == 0
        created = F.when(late, F.expr("event_timestamp + INTERVAL 2 DAYS")).otherwise(F.col("event_timestamp"))
        write_users(self._lake, users, days, created)
        home = settings.home / f"feast-{users}"
        self._settings = settings.model_copy(update={"lake": self._lake.root, "home": home})
        apply(self._settings)
        self._feast = feature_store(self._settings)
        self._labels = str(settings.home / f"labels-{users}")
        _labels(lake, users, days, labels).write.parquet(self._labels)
        self.output = {name: str(settings.home / f"{name}-{users}") for name in ("ours", "feast")}

    def ours(self) -> float:
        """Seconds of our join."""
        features = self._lake.read(GOLD_USER_FEATURES)
        return _timed(
            lambda: point_in_time(self.labels(), features, USER_KEY, LABEL_TIME, FEATURES), self.output["ours"]
        )

    def feast(self) -> float:
        """Seconds of Feast's."""
        asked = self.labels().withColumnRenamed(LABEL_TIME, "event_timestamp")
        references = [f"{USER_VIEW}:{name}" for name in FEATURES]

        def join() -> DataFrame:
            job = self._feast.get_historical_features(asked, references, filter_by_created_timestamp=True)
            return job.to_spark_df()

        return _timed(join, self.output["feast"])

    def labels(self) -> DataFrame:
        """The labelled rows."""
        return self._lake.spark.read.parquet(self._labels)

    def check_equal(self) -> int:
        """Raise SystemExit where the two results differ; returns the rows compared."""
        read = self._lake.spark.read.parquet
        ours, feast = read(self.output["ours"]), read(self.output["feast"])
        feast = feast.withColumnRenamed("event_timestamp", LABEL_TIME).select(*ours.columns)
        rows = ours.count()
        if rows != feast.count() or not ours.exceptAll(feast).isEmpty() or not feast.exceptAll(ours).isEmpty():
            raise SystemExit("the two joins differ")
        return rows


def _labels(lake: Lake, users: int, days: int, count: int) -> DataFrame:
    """`count` rows of random users and times in the span; one in fifty is of an unknown user."""
    start = microseconds(end_of(LAST_DAY - timedelta(days=days)))
    number = F.pmod(F.xxhash64("id"), F.lit(1 << 40))
    user = F.when(F.col("id") % 50 == 0, F.lit("nobody")).otherwise(F.concat(F.lit("u"), number % users))
    time_us = F.lit(start) + F.pmod(F.xxhash64("id", F.lit(1)), F.lit(days * 86_400_000_000))
    rows = lake.spark.range(count).select(
        F.col("id").alias("label"), user.alias(USER_KEY), F.timestamp_micros(time_us).alias(LABEL_TIME)
    )
    return rows.coalesce(2)


def _timed(join: Callable[[], DataFrame], output: str) -> float:
    started = time.perf_counter()
    with redirect_stdout(sys.stderr):
        join().write.mode("overwrite").parquet(output)
    return time.perf_counter() - started


def main() -> None:
    """Warm up, run in turns, compare, report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.point_in_time", description=__doc__.split("\n")[0])
    parser.add_argument("--users", type=int, default=1_000, help="users (default 1,000)")
    parser.add_argument("--days", type=int, default=365, help="feature rows of each user (default 365)")
    parser.add_argument("--labels", type=int, default=20_000, help="labelled rows (default 20,000)")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each (default 2)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-point-in-time-") as folder:
        settings = Settings(home=Path(folder))
        with spark_session("point-in-time benchmark", settings) as spark:
            _measure(Lake(spark, settings.lake_root), settings, given)


def _measure(lake: Lake, settings: Settings, given: argparse.Namespace) -> None:
    warm = ChampionChallenger(lake, settings, 50, 3, 300)
    warm.ours()
    warm.feast()
    warm.check_equal()
    champion_challenger = ChampionChallenger(lake, settings, given.users, given.days, given.labels)
    ours, peer = in_turns(given.rounds, champion_challenger.ours, champion_challenger.feast, "s")
    print(f"{champion_challenger.check_equal():,} rows compared: the same", flush=True)
    seconds = statistics.median(ours), statistics.median(peer)
    report(
        name="point_in_time",
        ours=seconds[0],
        peer=seconds[1],
        peer_name="Feast's Spark offline store, get_historical_features, same table and rows",
        ratio=seconds[1] / seconds[0],
        goal=f">= {GOAL:g} x faster, identical rows",
        met=seconds[1] / seconds[0] >= GOAL,
        users=given.users,
        days=given.days,
        labels=given.labels,
        rounds_ours=ours,
        rounds_peer=peer,
    )


if __name__ == "__main__":
    main()
