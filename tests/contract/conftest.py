"""The Spark session for the contracts that batch jobs share with others."""

from tests.spark_fixture import spark

__all__ = ["spark"]
