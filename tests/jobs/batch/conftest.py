"""One Spark for every test of the batch jobs, and lakes of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from headrace.settings import Settings
from jobs.batch.lake import Lake
from jobs.batch.spark import spark_session


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    settings = Settings(home=tmp_path_factory.mktemp("spark"), spark={"driver_memory": "1g", "shuffle_partitions": 1})
    with spark_session("tests", settings) as session:
        yield session


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def lake(spark: SparkSession, settings: Settings) -> Lake:
    return Lake(spark, settings.lake_root)


@pytest.fixture
def rows() -> Any:
    """Rows of a DataFrame as sorted dictionaries, to compare two runs."""

    def collect(frame: Any, *key: str) -> list[dict[str, Any]]:
        return [row.asDict(recursive=True) for row in frame.orderBy(*key).collect()]

    return collect
