"""One Spark for all tests that need it: their `conftest.py` imports the fixture."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from headrace.settings import Settings
from jobs.batch.engine.session import spark_session

FEW_ROWS = str(Path(__file__).parent / "spark")
"""Value of SPARK_CONF_DIR for Spark applications that see few rows."""
QUICK_JAVA = {"JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"}
"""Environment of Java programs that live for a minute: compiling for the long run costs a quarter of the time. The
session of these tests lives for ten, and takes half as long again with it. With the quick compiler alone Java has room
for a fifth of the code, which a job of many plans fills."""


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A session on two cores; a second folder's fixture gets the same one."""
    home = tmp_path_factory.mktemp("spark")
    settings = Settings(home=home, spark={"driver_memory": "1g", "shuffle_partitions": 1})
    light = {"spark.driver.extraJavaOptions": "-XX:+UseSerialGC", "spark.databricks.delta.snapshotPartitions": "1"}
    with ExitStack() as at_the_end:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SPARK_CONF_DIR", FEW_ROWS)  # read when Java starts
            session = at_the_end.enter_context(spark_session("tests", settings, light))
        yield session
