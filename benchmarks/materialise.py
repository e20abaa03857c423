"""Materialise: user rows per second into the online store, ours against `feast materialize`, in the same run.

    python -m benchmarks.materialise [--users 200000] [--rounds 2]

Both read Delta through the same Spark session (its start and one small run of each come before the clock) and write to
the same Valkey, emptied before each run; the runs alternate and write the same rows. Before, the stock SDK reads the
same users from both, and the answers must be equal.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import Any

import redis

from benchmarks.gold_users import LAST_DAY, write_users
from benchmarks.report import in_turns, report
from feature_repo.store import apply, feature_store
from headrace.features.rows import USER_KEY, USER_VIEW, feature_names
from headrace.machine.ports import free_port
from headrace.settings import Settings
from headrace.settings.engines import StoreSettings
from headrace.tables import GOLD_ITEM_FEATURES, GOLD_USER_FEATURES, end_of
from infra.local.services import local_services
from jobs.batch.engine.lake import Lake, spark_schema
from jobs.batch.engine.session import spark_session
from jobs.batch.online.materialise import materialise

GOAL = 10.0
COMPARED = 200
"""Users that the stock SDK reads from both."""


class ChampionChallenger:
    """One lake with so many users, and the store that both write to."""

    def __init__(self, lake: Lake, settings: Settings, users: int) -> None:
        self.users = users
        self._lake = Lake(lake.spark, f"{lake.root}-{users}")
        self._settings = settings.model_copy(update={"lake": self._lake.root, "home": settings.home / f"feast-{users}"})
        write_users(self._lake, users)
        item = {"item_id": "i1", "event_timestamp": end_of(LAST_DAY), "created_timestamp": end_of(LAST_DAY)}
        items = lake.spark.createDataFrame([item], spark_schema(GOLD_ITEM_FEATURES.schema))
        self._lake.overwrite_day(items, GOLD_ITEM_FEATURES, LAST_DAY)  # the job wants all of its views
        apply(self._settings)
        self._feast = feature_store(self._settings)

    def ours(self) -> float:
        """Rows per second of the job."""
        return self._rate(lambda: materialise(self._lake, self._settings, LAST_DAY))

    def feast(self) -> float:
        """Rows per second of `feast materialize` for the same view and day."""
        end = end_of(LAST_DAY)
        return self._rate(lambda: self._feast.materialize(end - timedelta(hours=1), end, [USER_VIEW]))

    def answers(self, users: list[str]) -> dict[str, Any]:
        """What the stock SDK reads for the users."""
        features = [f"{USER_VIEW}:{name}" for name in feature_names(GOLD_USER_FEATURES.schema)]
        return self._feast.get_online_features(features, [{USER_KEY: user} for user in users]).to_dict()

    def _rate(self, run: Callable[[], object]) -> float:
        with redis.Redis.from_url(self._settings.store.url) as store:
            store.execute_command("FLUSHDB", "SYNC")  # freed before the clock, not beside it
            started = time.perf_counter()
            with redirect_stdout(sys.stderr):
                run()
            seconds = time.perf_counter() - started
            rows = sum(1 for _ in store.scan_iter(b"*" + USER_KEY.encode() + b"*", count=10_000))
        if rows != self.users:
            raise SystemExit(f"{rows} rows in the store, expected {self.users}")
        return rows / seconds


def main() -> None:
    """Warm up, run in turns, compare what the SDK reads, report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.materialise", description=__doc__.split("\n")[0])
    parser.add_argument("--users", type=int, default=200_000, help="users that each writes (default 200,000)")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each (default 2)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-materialise-") as folder:
        settings = Settings(home=Path(folder), store=StoreSettings(url=f"redis://127.0.0.1:{free_port()}/0"))
        with local_services(settings, ("valkey",)), spark_session("materialise benchmark", settings) as spark:
            _measure(Lake(spark, settings.lake_root), settings, given)


def _measure(lake: Lake, settings: Settings, given: argparse.Namespace) -> None:
    warm = ChampionChallenger(lake, settings, 500)
    warm.ours()
    ours_read = warm.answers(_some(warm.users))
    warm.feast()
    if warm.answers(_some(warm.users)) != ours_read:
        raise SystemExit("the stock SDK reads other values from our rows than from its own")
    print(f"the stock SDK reads {COMPARED} users from both: equal", flush=True)
    champion_challenger = ChampionChallenger(lake, settings, given.users)
    ours, peer = in_turns(given.rounds, champion_challenger.ours, champion_challenger.feast, "rows/s")
    rates = statistics.median(ours), statistics.median(peer)
    report(
        name="materialise",
        ours=rates[0],
        peer=rates[1],
        peer_name="feast materialize (Spark offline store, Redis online store), same view, store and Spark session",
        ratio=rates[0] / rates[1],
        goal=f">= {GOAL:g} x rows/s, equal when the stock SDK reads them",
        met=rates[0] / rates[1] >= GOAL,
        users=given.users,
        rounds_ours=ours,
        rounds_peer=peer,
    )


def _some(users: int) -> list[str]:
    return [f"u{number}" for number in random.Random(3).sample(range(users), COMPARED)]


if __name__ == "__main__":
    main()
