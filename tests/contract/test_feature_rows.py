"""The online rows are the feature store's own: the stock SDK reads ours, and `feature_rows` reads the SDK's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import redis
from feast import FeatureStore
from pyspark.sql import SparkSession

from feature_repo.store import apply, feature_store
from headrace.features import rows as online
from headrace.settings import Settings
from headrace.tables import GOLD_ITEM_FEATURES, GOLD_USER_FEATURES
from infra.local.services import local_services
from jobs.batch.engine.lake import Lake, spark_schema
from jobs.batch.online.materialise import materialise
from tests.conftest import settings_on_free_ports

DAY = date(2026, 11, 20)
AS_OF = datetime(2026, 11, 21, tzinfo=UTC)
TIMES = {"event_timestamp": AS_OF, "created_timestamp": AS_OF, "day": DAY}
ANN: dict[str, Any] = {
    "user_id": "ann", "history_event_ids": ["e1", "e2"], "history_items": ["milk", "brød"],
    "history_types": ["view", "purchase"], "history_timestamps": [1795168800000000, 1795168800000001],
    "own_items": ["milk"], "own_counts": [3.0], "own_decayed_counts": [0.75], "own_first_timestamps": [1],
    "own_last_timestamps": [2], "events_total": 2**40, "baskets_total": 2, "profile_keys": ["age"],
    "profile_values": ["65+"], **TIMES,
}  # fmt: skip
LISTS = [field.name for field in GOLD_USER_FEATURES.schema if pa.types.is_list(field.type)]
CAT: dict[str, Any] = {"user_id": "cat", **{name: [] for name in LISTS}, "events_total": 0, "baskets_total": 0, **TIMES}
MILK: dict[str, Any] = {
    **dict.fromkeys(online.feature_names(GOLD_ITEM_FEATURES.schema), 0.5), "item_id": "milk",
    "popularity": 2.0, "trend_popularity": 3.0, "purchases": 4.0, "users_total": 5.0, "price": 1.5, "age_days": 84.5,
    **TIMES,
}  # fmt: skip


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A store of its own, without the other services."""
    with local_services(settings_on_free_ports(tmp_path_factory.mktemp("features")), ("valkey",)) as settings:
        yield settings


@pytest.fixture(scope="module")
def lake(spark: SparkSession, settings: Settings) -> Lake:
    lake = Lake(spark, settings.lake_root)
    for table, rows in ((GOLD_USER_FEATURES, [ANN, CAT]), (GOLD_ITEM_FEATURES, [MILK])):
        lake.overwrite_day(spark.createDataFrame(rows, spark_schema(table.schema)), table, DAY)
    return lake


@pytest.fixture(scope="module")
def stock_store(lake: Lake, settings: Settings) -> FeatureStore:
    views = {"user_features", "user_behaviour", "item_features", "item_content"}
    names = {"user", "item", *views, "user_features_push", "item_features_push"}
    assert set(apply(settings)) == {*names, "retrieval", "ranking"}
    return feature_store(settings)


@pytest.fixture
def store(settings: Settings) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(settings.store.url) as client:
        yield client


def features(row: dict[str, Any], schema: pa.Schema) -> dict[str, Any]:
    return {name: row[name] for name in online.feature_names(schema)}


def read_by_sdk(stock_store: FeatureStore, view: str, key: str, entity: str, schema: pa.Schema) -> dict[str, Any]:
    names = online.feature_names(schema)
    answer = stock_store.get_online_features([f"{view}:{name}" for name in names], [{key: entity}]).to_dict()
    return {name: answer[name][0] for name in names}


def test_the_stock_sdk_reads_what_the_job_materialised(
    stock_store: FeatureStore, lake: Lake, settings: Settings
) -> None:
    assert materialise(lake, settings, DAY) == 3
    ann = read_by_sdk(stock_store, online.USER_VIEW, online.USER_KEY, "ann", GOLD_USER_FEATURES.schema)
    assert ann == features(ANN, GOLD_USER_FEATURES.schema)
    milk = read_by_sdk(stock_store, online.ITEM_VIEW, online.ITEM_KEY, "milk", GOLD_ITEM_FEATURES.schema)
    assert milk == features(MILK, GOLD_ITEM_FEATURES.schema)


def test_rows_that_the_sdk_writes_are_read_back(stock_store: FeatureStore, store: redis.Redis) -> None:
    bob = {**ANN, "user_id": "bob"}
    frame = pd.DataFrame([{name: value for name, value in bob.items() if name != "day"}])
    stock_store.write_to_online_store(online.USER_VIEW, frame)
    names = online.feature_names(GOLD_USER_FEATURES.schema)
    raw = store.hmget(online.row_key(online.USER_KEY, "bob"), online.row_fields(online.USER_VIEW, names))
    decoded = {name: list(value) if name in LISTS else value for name, value in online.decode_row(names, raw).items()}
    assert decoded == features(bob, GOLD_USER_FEATURES.schema)
    assert online.decode_time(raw[-1]) == round(AS_OF.timestamp() * 1_000_000)


def test_a_newer_row_in_the_store_is_not_replaced_by_an_older_one(
    lake: Lake, settings: Settings, store: redis.Redis
) -> None:
    materialise(lake, settings, DAY)
    key, field = online.row_key(online.ITEM_KEY, "milk"), online.time_field(online.ITEM_VIEW)
    newer = online.encode_time(AS_OF + timedelta(days=1))
    store.hset(key, field, newer)
    assert materialise(lake, settings, DAY) == 2
    assert store.hget(key, field) == newer
    store.delete(key)


def test_offline_the_row_known_at_the_time_is_joined(
    spark: SparkSession, stock_store: FeatureStore, lake: Lake, tmp_path: Path
) -> None:
    day_before = AS_OF - timedelta(days=1)
    earlier = {**MILK, "popularity": 1.0, "event_timestamp": day_before, "created_timestamp": day_before}
    rows = spark.createDataFrame([earlier], spark_schema(GOLD_ITEM_FEATURES.schema))
    lake.overwrite_day(rows, GOLD_ITEM_FEATURES, DAY - timedelta(days=1))
    asked = pd.DataFrame(
        {
            "item_id": ["milk", "milk", "soap"],
            "event_timestamp": [AS_OF + timedelta(hours=1), AS_OF - timedelta(hours=1), AS_OF],
        }
    )
    answer = stock_store.get_historical_features(asked, [f"{online.ITEM_VIEW}:popularity"]).to_df()
    by_time = answer.sort_values(["item_id", "event_timestamp"])["popularity"].tolist()
    assert by_time[:2] == [1.0, 2.0]
    assert pd.isna(by_time[2])
