"""The feature store of these settings: offline in Spark on Delta, online in Valkey/Redis, its registry in SQL."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import yaml
from feast import FeatureStore
from feast.repo_config import RepoConfig

from feature_repo.definitions import definitions
from headrace.features.rows import PROJECT
from headrace.release.registry import local_releases
from headrace.settings import PROJECT_ROOT, Settings

_SECONDS_PER_DAY = 86_400
_YAML_HEADER = """\
# For the stock `feast` command, run in the project's folder: feast -c feature_repo COMMAND. Generated from the default
# settings: run `python -m feature_repo yaml` after changing them; with others, give its output to `feast -f FILE`.
"""


def repo_config(settings: Settings) -> RepoConfig:
    """The feature store that these settings describe."""
    folder = settings.home_folder / "feast"
    folder.mkdir(parents=True, exist_ok=True)
    return RepoConfig(**configuration(settings), repo_path=str(folder))


def configuration(settings: Settings) -> dict[str, Any]:
    """The content of `feature_store.yaml`."""
    online: dict[str, Any] = {"type": "redis", "connection_string": redis_connection(settings.store.url)}
    if settings.store.feature_row_ttl_days:
        online["key_ttl_seconds"] = settings.store.feature_row_ttl_days * _SECONDS_PER_DAY
    return {
        "project": PROJECT,
        "provider": "local",
        "registry": {"registry_type": "sql", "path": settings.feast_registry},
        "entity_key_serialization_version": 3,
        "offline_store": {"type": "spark", "spark_conf": spark_configuration(settings)},
        "online_store": online,
    }


def yaml_text(settings: Settings) -> str:
    """`feature_store.yaml` of these settings; the project's folder is written as `${PWD}`, which Feast replaces."""
    plain = json.dumps(configuration(settings)).replace(str(PROJECT_ROOT), "${PWD}")
    return _YAML_HEADER + yaml.safe_dump(json.loads(plain), sort_keys=False, width=120)


def feature_store(settings: Settings) -> FeatureStore:
    """The stock SDK on these settings; `apply(settings)` fills its registry."""
    return FeatureStore(config=repo_config(settings))


def apply(settings: Settings) -> list[str]:
    """Register entities, views, push sources and services; returns their names."""
    objects = definitions(settings.lake_root, local_releases(settings))
    feature_store(settings).apply(objects)
    return [each.name for each in objects]


def redis_connection(url: str) -> str:
    """Feast's form of a Redis address: `host:port[,password=…][,ssl=true][,db=…]`."""
    parts = urlsplit(url)
    options = [f"{parts.hostname}:{parts.port or 6379}"]
    if parts.password:
        options.append(f"password={parts.password}")
    if parts.scheme == "rediss":
        options.append("ssl=true")
    if database := parts.path.strip("/"):
        options.append(f"db={database}")
    return ",".join(options)


def spark_configuration(settings: Settings) -> dict[str, str]:
    """Spark's settings for offline reads: Delta, UTC, loopback. Feast uses a running session unchanged."""
    jars = sorted((settings.jars / "spark").glob("delta-*.jar"))
    conf = {
        "spark.master": settings.spark.master,
        "spark.app.name": "headrace feature store",
        "spark.jars": ",".join(str(jar) for jar in jars),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(settings.spark.shuffle_partitions),
        "spark.ui.enabled": "false",
    }
    if settings.spark.master.startswith("local"):
        conf |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
        conf |= {"spark.driver.memory": settings.spark.driver_memory}
    return conf
