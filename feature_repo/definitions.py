"""Entities, views, push sources and services of the feature store, generated from the gold tables' schemas."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, TypeAlias

import pyarrow as pa
from feast import Entity, FeatureService, FeatureView, Field, PushSource, ValueType
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
from feast.types import Array, Bool, Float32, Float64, Int32, Int64, String

from headrace.features.catalogue import ITEM_CONTENT, ITEM_FEATURES, USER_BEHAVIOUR, USER_FEATURES, FeatureGroup
from headrace.features.rows import ITEM_KEY, USER_KEY, feature_names
from headrace.features.user_tower import TOWER_COLUMNS
from headrace.release.bundle import Manifest

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
RETRIEVAL_SERVICE = "retrieval"
"""Feature service with all features that the user tower reads."""
RANKING_SERVICE = "ranking"
"""Feature service with all features that the ranker reads."""

Definition: TypeAlias = Any
"""An entity, a push source, a view or a service: Feast has no type that they share."""


def definitions(lake_root: str, releases: Iterable[Manifest] = ()) -> list[Definition]:
    """All definitions to register, for the lake at `lake_root`.

    The services `retrieval` and `ranking` are those of the current code; each of the `releases` gets its own two, so
    that the features of an older model can be read by its release id.
    """
    user = Entity(
        name="user", join_keys=[USER_KEY], value_type=ValueType.STRING, description="A user, or a visitor's session."
    )
    item = Entity(
        name="item", join_keys=[ITEM_KEY], value_type=ValueType.STRING, description="An item of the catalogue."
    )
    users, behaviour = (_view(group, user, lake_root) for group in (USER_FEATURES, USER_BEHAVIOUR))
    items, content = (_view(group, item, lake_root) for group in (ITEM_FEATURES, ITEM_CONTENT))
    services = _services(users, items, "", {})
    for release in releases:
        versions = {table: str(version) for table, version in release.tables.items()}
        services += _services(users, items, release.release_id, versions)
    return [user, item, users.stream_source, items.stream_source, users, behaviour, items, content, *services]


def push_source_name(view: str) -> str:
    """Name of the source by which a stream pushes rows of a view: `store.push(name, rows)`."""
    return f"{view}_push"


def service_name(service: str, release_id: str = "") -> str:
    """Name of a service; with a release, of that release's own one."""
    return f"{service}_{release_id.replace('-', '_')}" if release_id else service


def _services(users: FeatureView, items: FeatureView, release_id: str, tables: dict[str, str]) -> list[FeatureService]:
    tags = {"release_id": release_id, **tables} if release_id else {}
    reads = {RETRIEVAL_SERVICE: [users[list(TOWER_COLUMNS)]], RANKING_SERVICE: [users, items]}
    return [
        FeatureService(name=service_name(name, release_id), features=features, tags=tags)
        for name, features in reads.items()
    ]


def _view(group: FeatureGroup, entity: Entity, lake_root: str) -> FeatureView:
    table, name = group.table, group.view
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # Feast calls its Spark source experimental on every use
        source = SparkSource(
            name=f"{table.layer}_{table.name}",
            # Feast's Spark source does not accept a Delta path.
            query=f"SELECT * FROM delta.`{lake_root}/{table.path}`",  # noqa: S608 - the lake's own address
            timestamp_field="event_timestamp",
            created_timestamp_column="created_timestamp",
            description=table.meaning,
        )
    return FeatureView(
        name=name,
        entities=[entity],
        schema=[Field(name=each, dtype=TYPES[table.schema.field(each).type]) for each in feature_names(table.schema)],
        source=PushSource(name=push_source_name(name), batch_source=source) if group.online else source,
        online=group.online,
        ttl=timedelta(0),  # rows never expire: their age is in `event_timestamp`
        description=table.meaning,
    )
