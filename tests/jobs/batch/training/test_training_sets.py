"""Training sets are rebuilt byte for byte from the versions that they were made of, whatever came later."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from headrace.errors import HeadraceError
from headrace.settings import Settings
from headrace.settings.jobs import TrainingSettings
from headrace.tables import (
    GOLD_RANKING_EXAMPLES,
    GOLD_RETRIEVAL_EXAMPLES,
    GOLD_USER_FEATURES,
    SILVER_EVENTS,
    Table,
    end_of,
)
from jobs.batch.engine.lake import Lake, spark_schema
from jobs.batch.features.earlier_holdouts import lacking_holdouts
from jobs.batch.features.job import feature_days
from jobs.batch.features.users import interest_before
from jobs.batch.training.file_hashes import data_hash, training_bytes
from jobs.batch.training.recipe import recorded_recipe
from jobs.batch.training.sets import ranking_examples, write_training_sets
from tests.jobs.batch.worlds import AS_OF, DAY

HOLDOUT_DAY = DAY - timedelta(days=28)
EXAMPLES = (GOLD_RETRIEVAL_EXAMPLES, GOLD_RANKING_EXAMPLES)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("training"), spark={"shuffle_partitions": 2})


@pytest.fixture(scope="module")
def world(spark: SparkSession, settings: Settings) -> Lake:
    """Three shoppers before and in the holdout; their sets are built."""
    lake = Lake(spark, settings.lake_root)
    buy(lake, *((user, days) for user in ("ann", "bob", "cat") for days in (40, 3)))
    know(lake, {"ann": 1, "bob": 1, "cat": 1})
    write_training_sets(lake, settings, DAY)
    return lake


def buy(lake: Lake, *purchases: tuple[str, int]) -> None:
    """Purchases of (user, days ago) arrive in silver."""
    rows = []
    for user, days in purchases:
        moment = AS_OF - timedelta(days=days)
        names = {"event_id": f"{user}{days}", "event_type": "purchase", "subject_id": user, "item_id": f"item{days}"}
        rows.append({**names, "timestamp": moment, "day": moment.date()})
    lake.append(lake.spark.createDataFrame(rows, spark_schema(SILVER_EVENTS.schema)), SILVER_EVENTS)


def know(lake: Lake, events: dict[str, int]) -> None:
    """Before the holdout, so many events of each user are known."""
    times = {"event_timestamp": end_of(HOLDOUT_DAY), "created_timestamp": end_of(HOLDOUT_DAY), "day": HOLDOUT_DAY}
    rows = [{"user_id": user, "events_total": total, **times} for user, total in events.items()]
    features = lake.spark.createDataFrame(rows, spark_schema(GOLD_USER_FEATURES.schema))
    lake.overwrite_day(features, GOLD_USER_FEATURES, HOLDOUT_DAY)


def contents(lake: Lake, table: Table) -> list[str]:
    """Hashes of the files that a table's newest version is made of."""
    return sorted(
        hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in DeltaTable(lake.path(table)).file_uris()
    )


def test_after_newer_data_the_old_sets_are_rebuilt_byte_for_byte(world: Lake, settings: Settings) -> None:
    built, data = [contents(world, table) for table in EXAMPLES], training_bytes(world, DAY)
    buy(world, ("ann", 41), ("dan", 2))
    know(world, {"ann": 2, "bob": 1, "cat": 1})
    recipe = recorded_recipe(world, DAY)
    write_training_sets(world, settings, DAY)
    renewed = [contents(world, table) for table in EXAMPLES]
    assert all(now != before for now, before in zip(renewed, built, strict=True))
    assert training_bytes(world, DAY) != data
    changed = settings.model_copy(
        update={"training": settings.training.model_copy(update={"holdout_days": 7, "retrieval_days": 7})}
    )
    write_training_sets(world, changed, DAY, recipe)
    assert [contents(world, table) for table in EXAMPLES] == built
    assert training_bytes(world, DAY) == data


def test_of_a_file_the_rows_count_and_not_what_the_footer_adds(tmp_path: Path) -> None:
    def file(name: str, count: int, note: str) -> Path:
        table = pa.table({"user_id": ["ann"], "count": [count]}).replace_schema_metadata({"note": note})
        pq.write_table(table, tmp_path / name)
        return tmp_path / name

    one, other_footer, other_rows = file("a", 1, "x"), file("b", 1, "another"), file("c", 2, "x")
    assert one.read_bytes() != other_footer.read_bytes()
    assert data_hash(one.as_uri()) == data_hash(other_footer.as_uri()) != data_hash(other_rows.as_uri())


def test_a_day_never_built_has_no_recipe(world: Lake) -> None:
    with pytest.raises(HeadraceError, match="training_sets --day 2026-11-19"):
        recorded_recipe(world, DAY - timedelta(days=1))


def test_an_earlier_holdout_lacks_its_sets_until_they_are_made_and_where_nothing_is_known_before_it_for_ever(
    spark: SparkSession, tmp_path: Path
) -> None:
    training = TrainingSettings(holdout_days=10, ranker_earlier_holdouts=3)
    lake, settings = Lake(spark, str(tmp_path)), Settings(home=tmp_path, training=training)
    earlier = [DAY - timedelta(days=days) for days in (10, 20, 30)]
    assert training.earlier_days(DAY) == earlier
    assert lacking_holdouts(lake, settings, DAY) == []
    buy(lake, ("ann", 41))
    assert lacking_holdouts(lake, settings, DAY) == [earlier[1], earlier[0]]
    assert lacking_holdouts(lake, settings, DAY, with_features=True) == []
    assert feature_days(lake, settings, DAY, holdout=True) == [*reversed(earlier), DAY]
    rows = lake.spark.createDataFrame(
        [{"user_id": "ann", "day": earlier[1]}], spark_schema(GOLD_RANKING_EXAMPLES.schema)
    )
    lake.overwrite_day(rows, GOLD_RANKING_EXAMPLES, earlier[1])
    assert lacking_holdouts(lake, settings, DAY) == [earlier[0]]


def test_a_version_that_is_not_there_is_named(world: Lake) -> None:
    with pytest.raises(HeadraceError, match=r"gold.user_features no longer has version 99"):
        world.read(GOLD_USER_FEATURES, 99)


def test_a_feature_row_planted_after_the_fact_is_not_seen(world: Lake, settings: Settings) -> None:
    as_of = end_of(HOLDOUT_DAY)
    planted = (
        world.read(GOLD_USER_FEATURES)
        .where(F.col("day") == F.lit(HOLDOUT_DAY))
        .withColumn("events_total", F.lit(99).cast("long"))
        .withColumn("created_timestamp", F.lit(as_of + timedelta(microseconds=1)))
    )
    assert world.append(planted, GOLD_USER_FEATURES) >= 3
    both = world.read(GOLD_USER_FEATURES)
    interest = interest_before(world.read(SILVER_EVENTS), AS_OF)
    seen = [row["events_total"] for row in ranking_examples(both, interest, as_of).collect()]
    assert len(seen) >= 3
    assert 99 not in seen
