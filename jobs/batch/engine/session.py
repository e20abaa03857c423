"""The Spark session of every batch job, made from the settings: the same under `python -m` and under spark-submit."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession

from headrace.errors import HeadraceError
from headrace.machine.jars import HINT
from headrace.machine.spark_jars import java_options, spark_jars
from headrace.settings import Settings

_GATEWAY = "PYSPARK_GATEWAY_PORT"
"""Environment variable of programs that spark-submit runs."""


def extra_jars(settings: Settings) -> list[Path]:
    """Additional jars of Spark: Delta and the Kafka source. Raises HeadraceError if they are missing."""
    jars = spark_jars(settings)
    if not any(jar.name.startswith("delta-spark") for jar in jars):
        raise HeadraceError(f"{settings.jars / 'spark'} holds no Delta jars for Spark", HINT)
    return jars


def configuration(settings: Settings) -> dict[str, str]:
    """Spark's settings: Delta, UTC, loopback, no web page.

    A cluster keeps its own network settings and memory.
    """
    conf = {
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(settings.spark.shuffle_partitions),
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.variant.allowDuplicateJsonKeys": "true",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.databricks.delta.skipRecordingEmptyCommits": "false",  # they have notes of a job's progress
        "spark.databricks.delta.stats.collect": "false",  # tables are read by day, never by a column's range
        "spark.sql.inMemoryColumnarStorage.compressed": "false",  # kept rows are read once or twice: packing costs more
        "spark.rdd.compress": "true",  # kept on disk they are mostly JSON, a fifth of it when packed
        # Nearly every (user, item, time) is a group of its own: the small first map only costs.
        "spark.sql.codegen.aggregate.map.twolevel.enabled": "false",
        # A task that writes one day need not sort its wide rows by day first.
        "spark.sql.maxConcurrentOutputFileWriters": "2",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.hadoop.parquet.block.size": str(32 * 2**20),  # memory of a worker that reads rows by position
    }
    if settings.spark.master.startswith("local"):
        conf |= {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.memory": settings.spark.driver_memory,
            "spark.driver.extraJavaOptions": java_options(settings),
            "spark.sql.warehouse.dir": str(settings.home_folder / "spark-warehouse"),
        }
    if _GATEWAY in os.environ:  # Java runs already: too late for its logging file
        conf["spark.log.level"] = "ERROR"
    return conf


@contextmanager
def spark_session(name: str, settings: Settings, conf: Mapping[str, str] | None = None) -> Iterator[SparkSession]:
    """A session named `headrace <name>`, with `conf` on top of `configuration`; ended with the block."""
    builder = SparkSession.builder.appName(f"headrace {name}").master(settings.spark.master)
    for key, value in {**configuration(settings), **(conf or {})}.items():
        builder = builder.config(key, value)
    builder = builder.config("spark.jars", ",".join(str(jar) for jar in extra_jars(settings)))
    # Workers of the job run this interpreter, not whatever `python3` is first in the path.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    _silence_gateway()
    session = builder.getOrCreate()
    try:
        yield session
    finally:
        session.stop()


def _silence_gateway() -> None:
    """What py4j logs with a stack trace it raises as well; on Ctrl-C it does so by the root logger."""
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    logging.getLogger().addFilter(_is_not_the_gateways)


def _is_not_the_gateways(record: logging.LogRecord) -> bool:
    return record.module != "java_gateway"
