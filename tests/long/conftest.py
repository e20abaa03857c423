"""The Spark session of the long tests."""

from tests.spark_fixture import spark

__all__ = ["spark"]
