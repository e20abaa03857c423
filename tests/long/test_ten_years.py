"""Ten years in an hour: a day of each half-year, with all that happens to a shop in so long.

Every day runs, silver equals what bronze makes of it anew, and nothing of the forgotten is left.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from headrace.settings import Settings
from headrace.settings.jobs import MaintenanceSettings
from headrace.tables import (
    GOLD_USER_BEHAVIOUR,
    GOLD_USER_FEATURES,
    REJECTED_EVENTS,
    SILVER_BOTS,
    SILVER_EVENTS,
    SILVER_ITEM_STATES,
    end_of,
)
from jobs.batch.__main__ import job_arguments, run_jobs
from jobs.batch.engine.lake import Lake
from jobs.batch.keeping.forget import forget
from jobs.batch.keeping.forget_check import what_is_left
from tests.jobs.batch.worlds import collected, json_lines, silver
from tests.long.places import own_place

DAYS = [date(2016, 11, 7) + timedelta(days=182 * number) for number in range(21)]
DAILY = ["ingest", "clean", "features", "quality"]
FORGOTTEN = {2: "u3", 6: "u8", 13: "u11", 17: "session:v15-1"}
"""Who asks to be forgotten after which of the days."""
BACKUP, LOST = 8, 10
"""The lake is copied after the one day, and lost after the other."""
USERS = [f"u{number}" for number in range(24)]
ITEMS = [f"i{number}" for number in range(12)]


@dataclass
class Shop:
    """Its deliveries, day by day; the same for the same seed."""

    folder: Path
    random: random.Random = field(default_factory=lambda: random.Random(7))

    def deliver(self, number: int) -> dict[str, list[Path]]:
        """Write the files of one day: those of states have one name for ever, and say again what they said before."""
        day, folder = DAYS[number], self.folder / f"{DAYS[number]}"
        folder.mkdir(parents=True)
        events = [*self._events(number), *(self._dormant("old") if number == 0 else []), *self._wrong(number)]
        self.random.shuffle(events)
        files = [json_lines(folder / "events.jsonl", events)]
        if number % 5 == 4:  # the file of two years ago comes back, with a line more
            old = (self.folder / f"{DAYS[number - 4]}" / "events.jsonl").read_text().splitlines()
            files.append(json_lines(folder / "again.jsonl", [*old, json.dumps(self._dormant(f"again{number}")[0])]))
        blocked = number % 2 == 1
        stock = [{"item_id": "i0", "category_1": "a", "blocked": blocked}]
        stock += [{"item_id": item, "category_1": "b", "price": 1 + int(item[1:])} for item in ITEMS[1:]]
        tiers = {user: "gold" if (number + index) % 3 else None for index, user in enumerate(USERS)}
        profiles = [{"user_id": user, "tier": tier} for user, tier in tiers.items()]
        profiles.append({"user_id": float(number), "tier": f"{day}"})
        return {
            "events": files,
            "items": [json_lines(folder / "stock.jsonl", stock)],
            "users": [json_lines(folder / "users.jsonl", profiles)],
        }

    def _events(self, number: int) -> Iterator[dict[str, Any]]:
        day, kinds = DAYS[number], ("view", "click", "add_to_cart", "purchase")
        active = self.random.sample(USERS, 12) + [f"session:v{number}-{visit}" for visit in range(4)]
        for subject in active:
            for step in range(self.random.randint(1, 5)):
                late = self.random.choice((0, 0, 0, 1, 3, 90)) if number else 0
                moment = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=late)
                event: dict[str, Any] = {
                    "event_id": f"{number}-{subject}-{step}",
                    "event_type": self.random.choice(kinds),
                    "item_id": self.random.choice(ITEMS),
                    "timestamp": (moment + timedelta(seconds=self.random.randrange(80_000))).isoformat(),
                }
                if event["event_type"] in ("add_to_cart", "purchase"):
                    event |= {"value": 1, "price": 2.5}
                visitor = subject.startswith("session:")
                event["session_id"] = subject.removeprefix("session:") if visitor else f"s-{number}-{subject}"
                if not visitor or step == 4:  # signs in at last
                    event["user_id"] = "u11" if visitor else subject
                yield event

    def _dormant(self, name: str) -> list[dict[str, Any]]:
        return [
            {
                "event_id": f"{name}-{number}",
                "event_type": "purchase",
                "user_id": "dormant",
                "item_id": item,
                "timestamp": "2000-01-05T10:00:00Z",
                "value": 1,
            }
            for number, item in enumerate(ITEMS[:3])
        ]

    def _wrong(self, number: int) -> list[dict[str, Any] | str]:
        """Clocks that are wrong, and a line that was cut."""
        event = {"event_type": "view", "user_id": "u2", "item_id": "i1"}
        far_ahead = (DAYS[number] + timedelta(days=3650)).isoformat()
        return [
            {**event, "event_id": f"w{number}a", "timestamp": f"{far_ahead}T10:00:00Z"},
            {**event, "event_id": f"w{number}b", "timestamp": "1970-01-01T00:00:00Z"},
            json.dumps({**event, "event_id": f"w{number}c"})[:40],
        ]


@dataclass
class History:
    """What is left after the ten years."""

    lake: Lake
    settings: Settings
    shop: Shop


def run(lake: Lake, settings: Settings, day: date, jobs: list[str], files: dict[str, list[Path]] | None = None) -> None:
    given = [",".join(jobs), "--day", f"{day}", "--late"]
    given += [word for kind, paths in (files or {}).items() for path in paths for word in (f"--{kind}", f"{path}")]
    run_jobs(lake, jobs, job_arguments().parse_args(given), settings)


@pytest.fixture(scope="module")
def history(services: Settings, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> History:
    """Lived: each day's files taken in, its features computed and checked; every two years the rest of the jobs."""
    home, outside = tmp_path_factory.mktemp("ten-years"), tmp_path_factory.mktemp("outside")
    maintenance = MaintenanceSettings(requests_days=4000)  # a file of two years ago comes back
    settings = own_place(services, home, "ten-years", 8, maintenance=maintenance)
    lake, shop = Lake(spark, settings.lake_root), Shop(outside / "files")
    backup, delivered = outside / "backup", {}
    for number, day in enumerate(DAYS):
        delivered[number] = shop.deliver(number)
        run(lake, settings, day, DAILY, delivered[number])
        if number % 4 == 3:
            run(lake, settings, day, ["training_sets", "materialise", "maintenance"])
        if number in FORGOTTEN:
            forget(lake, settings, FORGOTTEN[number], end_of(day))
        if number == BACKUP:
            shutil.copytree(lake.root, backup)
        if number == LOST:
            shutil.rmtree(lake.root)
            shutil.copytree(backup, lake.root)
            spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
            for again in range(BACKUP + 1, LOST + 1):
                run(lake, settings, DAYS[again], DAILY, delivered[again])
    return History(lake, settings, shop)


def test_every_day_has_its_features_those_of_the_dormant_too(history: History) -> None:
    days = history.lake.read(GOLD_USER_FEATURES).select("day").distinct().collect()
    kept = [day for day in DAYS if day > DAYS[-2] - timedelta(days=history.settings.maintenance.gold_days)]
    assert {row["day"] for row in days} >= set(kept)
    behaviour = (
        history.lake.read(GOLD_USER_BEHAVIOUR).where(f"day = DATE'{DAYS[-1]}' AND user_id = 'dormant'").collect()
    )
    assert [row["categories"] for row in behaviour] == [["a", "b"]]
    assert set(behaviour[0]["category_shares"]) == {0.0}


def test_no_event_is_lost_or_counted_twice_and_wrong_clocks_are_refused(history: History) -> None:
    sent: dict[str, dict[str, Any]] = {}
    refused: list[str] = []
    for file in history.shop.folder.glob("*/*.jsonl"):
        for line in file.read_text().splitlines() if file.stem in ("events", "again") else ():
            if '"event_id": "w' in line or not line.endswith("}"):
                refused.append(line)
            else:
                event = json.loads(line)
                sent[event["event_id"]] = event
    gone = forgotten(sent.values())
    assert len(gone) > 40
    found = [row["event_id"] for row in collected(history.lake, SILVER_EVENTS)]
    assert sorted(found) == sorted(sent.keys() - gone)
    assert history.lake.read(REJECTED_EVENTS).count() == len(refused)


def forgotten(events: Collection[dict[str, Any]]) -> set[str]:
    """Ids of the events from before the request of their subject; sessions in which a user signed in are theirs."""
    asked = {name: end_of(DAYS[number]).isoformat() for number, name in FORGOTTEN.items()}
    whose = {f"session:{event.get('session_id')}": event["user_id"] for event in events if event.get("user_id")}
    gone = set()
    for event in events:
        subject = event.get("user_id") or f"session:{event['session_id']}"
        for name in {subject, whose.get(subject, subject)} & asked.keys():
            if event["timestamp"] < asked[name]:
                gone.add(event["event_id"])
    return gone


def test_the_state_of_a_product_is_the_last_delivery_however_often_it_was_said_before(history: History) -> None:
    states = [row["blocked"] for row in collected(history.lake, SILVER_ITEM_STATES) if row["item_id"] == "i0"]
    assert states == [number % 2 == 1 for number in range(len(DAYS))]


def test_nothing_of_the_forgotten_is_left_but_what_they_did_afterwards(history: History) -> None:
    forget(history.lake, history.settings, "u3", datetime.now(UTC))  # with all that came after the first request
    assert what_is_left(history.lake, history.settings, ["u3", FORGOTTEN[17]]) == {}


def test_silver_equals_what_is_made_of_bronze_anew(history: History) -> None:
    before = silver(history.lake)
    assert {path for path, table in before.items() if not table} == {SILVER_BOTS.path}
    run(history.lake, history.settings, DAYS[-1], ["rebuild"])
    after = silver(history.lake)
    for path, table in before.items():
        assert after[path] == table, path
