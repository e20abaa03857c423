"""The Spark session that looks at what is left."""

from tests.spark_fixture import spark

__all__ = ["spark"]
