"""One Spark for all tests that need it: their `conftest.py` imports the fixture."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from headrace.settings import Settings
from jobs.batch.spark import spark_session


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A session on two cores; a second folder's fixture gets the same one."""
    home = tmp_path_factory.mktemp("spark")
    settings = Settings(home=home, spark={"driver_memory": "1g", "shuffle_partitions": 1})
    # Tests run each plan once and on few rows: compiling and re-planning it costs more than it brings.
    once = {
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.codegen.wholeStage": "false",
        "spark.databricks.delta.snapshotPartitions": "1",
    }
    with spark_session("tests", settings, once) as session:
        yield session
