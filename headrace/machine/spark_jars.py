"""The jars and the Java options that a Spark application starts with: for `spark-submit` and for a session alike."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from headrace.settings import PROJECT_ROOT, Settings

_LOGGING = PROJECT_ROOT / "infra" / "local" / "spark-log4j2.properties"

_VERSION = re.compile(r"-\d[\w.]*\.jar$")


def java_options(settings: Settings) -> str:
    """Of the driver: throughput counts, and nobody reads Spark's own start-up lines."""
    own = f"-XX:+UseParallelGC -Dlog4j2.configurationFile={_LOGGING.as_uri()}"
    return f"{own} {settings.spark.java_options}".strip()


def spark_jars(settings: Settings) -> list[Path]:
    """Delta and the Kafka source with what they need, sorted; empty where the jars were not downloaded yet.

    What Spark brings itself is left out, so that there are never two versions of one. Does not import Spark.
    """
    own: set[str] = set()
    if (spark := find_spec("pyspark")) and spark.origin:
        own = {_artifact(jar) for jar in (Path(spark.origin).parent / "jars").glob("*.jar")}
    jars = sorted((settings.jars / "spark").glob("*.jar"))
    return [jar.resolve() for jar in jars if _artifact(jar) not in own]


def _artifact(jar: Path) -> str:
    return _VERSION.sub("", jar.name)
