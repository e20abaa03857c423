"""Spark's ALS keeps the contract of all baselines."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from jobs.batch.als import factorise
from models.baselines.factors import SparkAls, SparkAlsConfig
from tests.models.baseline_contract import BaselineContract


class TestSparkAls(BaselineContract):
    spark: SparkSession

    @pytest.fixture(scope="class", autouse=True)
    def session(self, spark: SparkSession):
        type(self).spark = spark

    def make(self):
        config = SparkAlsConfig(factors=8, iterations=4)
        return SparkAls(config, run=lambda arguments: factorise(self.spark, arguments))
