"""Silver is a function of bronze: the same however often `clean` ran, and when it is made again from the beginning."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from headrace.errors import HeadraceError
from headrace.settings.jobs import CleanSettings
from headrace.tables import (
    BRONZE_EVENTS,
    BRONZE_ITEMS,
    BRONZE_USERS,
    SILVER_USERS,
)
from jobs.batch.clean.job import clean, rebuild
from jobs.batch.engine.lake import Lake
from jobs.batch.engine.spark_errors import explain_spark_errors
from jobs.batch.ingest.files_job import Inputs, ingest_files
from jobs.batch.keeping.maintenance import vacuum
from tests.jobs.batch.worlds import AS_OF, collected, days_before, json_lines, purchase, silver

FEW = CleanSettings(events_per_day=2)
MONDAY, TUESDAY, FRIDAY = (AS_OF - timedelta(days=days) for days in (5, 4, 1))
FIRST, TWICE = purchase("e1", "u1", "tea", days_before(9)), purchase("e1", "u1", "jam", days_before(8))
DELIVERIES: list[tuple[Any, dict[str, list[Any]]]] = [
    (
        TUESDAY,
        {"users": [{"user_id": 1.0, "age": "old"}], "items": [{"item_id": "tea", "price": 3}], "events": [FIRST]},
    ),
    (MONDAY, {"users": [{"user_id": "1", "age": "older"}], "items": [{"item_id": "tea", "title": "Tea"}]}),
    (FRIDAY, {"events": [FIRST]}),
    (FRIDAY, {"users": [{"user_id": 1, "age": "older"}, {"age": "?"}], "events": [TWICE, "{broken"]}),
    (TUESDAY, {"users": [{"user_id": 1, "age": "oldest"}], "items": [{"item_id": "tea", "price": 4}]}),
    (FRIDAY, {"events": [purchase(f"b{n}", "bot", "tea", days_before(9)) for n in range(3)]}),
]


def deliver(lake: Lake, folder: Path, *, clean_each: bool) -> None:
    for number, (received, rows) in enumerate(DELIVERIES):
        files = {kind: [json_lines(folder / f"{kind}{number}.jsonl", given)] for kind, given in rows.items()}
        ingest_files(lake, Inputs(**files), received)
        if clean_each:
            clean(lake, FEW)
    clean(lake, FEW)


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """Cleaned after each delivery."""
    home = tmp_path_factory.mktemp("each")
    lake = Lake(spark, f"{home}/lake")
    deliver(lake, home, clean_each=True)
    yield lake


def test_all_versions_are_built_in_order_however_many_deliveries_one_run_cleans(lake: Lake, tmp_path: Path) -> None:
    at_once = Lake(lake.spark, f"{tmp_path}/lake")
    deliver(at_once, tmp_path, clean_each=False)
    users = [(row["profile"]["age"], str(row["valid_from"])) for row in collected(at_once, SILVER_USERS)]
    assert users == [
        ("old", "2000-01-01 00:00:00"),  # never the newest one from the beginning: that would be known too early
        ("older", "2026-11-16 00:00:00"),
        ("oldest", "2026-11-17 00:00:00"),
    ]
    assert silver(at_once) == silver(lake)


def test_a_damaged_table_is_made_again_from_bronze_though_the_feeds_files_are_gone(lake: Lake) -> None:
    before = silver(lake)
    assert {path: len(rows) for path, rows in before.items()} == {
        **{"silver/events": 4, "silver/bots": 1, "silver/users": 3, "silver/items": 2, "silver/item_states": 2},
        "bronze/rejected_events": 2,
    }
    for table in (BRONZE_EVENTS, BRONZE_ITEMS, BRONZE_USERS):
        lake.spark.sql(f"OPTIMIZE delta.`{lake.path(table)}`")
        vacuum(lake, table, at_once=True)
    for file in Path(lake.path(SILVER_USERS)).glob("*.parquet"):
        file.unlink()
    ingest_files(lake, Inputs(users=[json_lines(Path(lake.root) / "n.jsonl", [{"user_id": "2"}])]), FRIDAY)
    with pytest.raises(HeadraceError, match="headrace rebuild silver"), explain_spark_errors("clean", lake.root):
        clean(lake, FEW)
    done = rebuild(lake, FEW)
    assert (done.events, done.rejected, done.bots) == (4, 2, 1)
    after = silver(lake)
    assert [row["user_id"] for row in after["silver/users"]] == ["1", "1", "1", "2"]
    assert after | {"silver/users": after["silver/users"][:3]} == before
    assert clean(lake, FEW).rejected == 0


def test_a_lake_from_before_arrivals_were_recorded_can_be_made_again_too(lake: Lake) -> None:
    before = silver(lake)
    for table in (BRONZE_EVENTS, BRONZE_ITEMS, BRONZE_USERS):
        old = lake.read(table).drop("arrival").localCheckpoint()
        writer = old.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
        writer.partitionBy("day").save(lake.path(table))
    rebuild(lake, FEW)
    after = silver(lake)
    assert after["silver/events"] == before["silver/events"]
    # Of the same day's profiles the file's name decides now, and a row of an earlier clock is an earlier one.
    assert [row["profile"]["age"] for row in after["silver/users"] if row["user_id"] == "1"] == [
        "older",
        "oldest",
        "older",
    ]
    new = [json_lines(Path(lake.root) / "m.jsonl", [{"user_id": "3"}])]
    ingest_files(lake, Inputs(users=new), FRIDAY)
    assert clean(lake, FEW).users == 1
