"""`headrace generate` through Spark: the same rows from any number of partitions, files that `import` takes whole."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from headrace.settings.jobs import CleanSettings
from headrace.tables import SILVER_EVENTS
from jobs.batch.clean.job import Cleaned, clean
from jobs.batch.engine.lake import Lake
from jobs.batch.ingest.files_job import Inputs, ingest_files
from jobs.batch.synthetic.generate import event_parts, events, main, write_world
from jobs.batch.synthetic.world import World
from tests.jobs.batch.worlds import AS_OF, DAY

WORLD = World(users=30, items=100, events=2_010, seed=7, end=DAY, days=30)


def test_the_number_of_partitions_changes_no_row(spark: SparkSession) -> None:
    one, three = (sorted(events(spark, WORLD, parts).collect(), key=lambda row: row["event_id"]) for parts in (1, 3))
    assert len(one) == 2_010 and one == three


def test_the_files_are_imported_without_a_refusal_and_the_ground_truth_has_a_folder(lake: Lake, tmp_path: Path) -> None:
    world = tmp_path / "world"
    write_world(lake.spark, WORLD, world)
    assert json.loads((world / "world.json").read_text())["seed"] == 7
    ingest_files(lake, Inputs(*([world / name] for name in ("events", "items", "users"))), AS_OF)
    assert clean(lake, CleanSettings()) == Cleaned(events=2_010, rejected=0, items=100, users=30)
    impression = lake.read(SILVER_EVENTS).where("event_type = 'impression'").first()
    assert impression is not None and 0 < float(impression["context"]["propensity"]) <= 1
    counts = {name: pq.read_table(world / "truth" / name).num_rows for name in ("items", "users", "positions")}
    assert counts == {"items": 100, "users": 30, "positions": 8}


def test_no_file_holds_more_than_a_million_events_and_small_worlds_use_few_tasks() -> None:
    asked = {1: 1, 150_000: 2, 1_000_000: 2, 100_000_000: 100}
    worlds = {count: World(users=30, items=100, events=count, seed=7, end=DAY) for count in asked}
    assert {count: event_parts(world, cores=2) for count, world in worlds.items()} == asked


@pytest.mark.parametrize(("items", "told"), [("100", "is not empty"), ("99", "--items 99: a world needs at least 100")])
def test_a_mistake_is_reported_before_spark_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], items: str, told: str
) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    sizes = ["--users", "30", "--items", items, "--events", "10", "--seed", "1", "--end", DAY.isoformat()]
    assert main([*sizes, "--output", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
