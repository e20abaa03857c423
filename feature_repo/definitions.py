"""Entities, views and services of the feature store, made from the gold tables' own schemas: one definition each."""

from __future__ import annotations

import warnings
from datetime import timedelta
from typing import Any

import pyarrow as pa
from feast import Entity, FeatureService, FeatureView, Field, ValueType
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
from feast.types import Array, Bool, Float32, Float64, Int32, Int64, String

from headrace.feature_rows import ITEM_KEY, ITEM_VIEW, USER_KEY, USER_VIEW, feature_names
from headrace.tables import GOLD_ITEM_FEATURES, GOLD_USER_FEATURES, Table

TYPES: dict[pa.DataType, Any] = {
    pa.string(): String,
    pa.int32(): Int32,
    pa.int64(): Int64,
    pa.float32(): Float32,
    pa.float64(): Float64,
    pa.bool_(): Bool,
    pa.list_(pa.string()): Array(String),
    pa.list_(pa.int64()): Array(Int64),
    pa.list_(pa.float32()): Array(Float32),
}
RANKING_SERVICE = "ranking"
"""Feature service with everything the ranker reads."""


def definitions(lake_root: str) -> list[Entity | FeatureView | FeatureService]:
    """Everything to register, for the lake at `lake_root`."""
    user = Entity(
        name="user", join_keys=[USER_KEY], value_type=ValueType.STRING, description="A user, or a visitor's session."
    )
    item = Entity(
        name="item", join_keys=[ITEM_KEY], value_type=ValueType.STRING, description="An item of the catalogue."
    )
    users = _view(USER_VIEW, user, GOLD_USER_FEATURES, lake_root)
    items = _view(ITEM_VIEW, item, GOLD_ITEM_FEATURES, lake_root)
    return [user, item, users, items, FeatureService(name=RANKING_SERVICE, features=[users, items])]


def _view(name: str, entity: Entity, table: Table, lake_root: str) -> FeatureView:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # Feast calls its Spark source experimental on every use
        source = SparkSource(
            name=f"{table.layer}_{table.name}",
            # Feast's Spark source takes no Delta path.
            query=f"SELECT * FROM delta.`{lake_root}/{table.path}`",  # noqa: S608 - the lake's own address
            timestamp_field="event_timestamp",
            created_timestamp_column="created_timestamp",
            description=table.meaning,
        )
    return FeatureView(
        name=name,
        entities=[entity],
        schema=[Field(name=each, dtype=TYPES[table.schema.field(each).type]) for each in feature_names(table.schema)],
        source=source,
        ttl=timedelta(0),  # rows never expire: `event_timestamp` says how old one is
        description=table.meaning,
    )
