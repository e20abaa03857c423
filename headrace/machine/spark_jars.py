"""The jars and the Java options that a Spark application starts with: for `spark-submit` and for a session alike."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from headrace.settings import PROJECT_ROOT, Settings

JAVA_OPTIONS = (
    f"-XX:+UseParallelGC -Dlog4j2.configurationFile={(PROJECT_ROOT / 'infra/local/spark-log4j2.properties').as_uri()}"
)
"""Options of the driver: for throughput, and without Spark's start-up messages."""

_VERSION = re.compile(r"-\d[\w.]*\.jar$")


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
