"""Lakes of their own for the tests of the batch jobs."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from headrace.settings import Settings
from jobs.batch.engine.lake import Lake
from tests.spark_fixture import spark

__all__ = ["spark"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def lake(spark: SparkSession, settings: Settings) -> Lake:
    return Lake(spark, settings.lake_root)
