"""Spark's ALS keeps the contract of all baselines, and says which items go together."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.sql import SparkSession

from headrace.settings.jobs import TrainingSettings
from jobs.batch.training.als import factorise
from models.baselines import factors
from models.baselines.factors import SparkAls, SparkAlsConfig
from models.neighbours.models import Known, spark_als
from models.neighbours.table import strongest_weights
from tests.models.baselines.baseline_contract import ITEMS, ITEMS_PER_TASTE, BaselineContract, world


class TestSparkAls(BaselineContract):
    spark: SparkSession

    @pytest.fixture(scope="class", autouse=True)
    def session(self, spark: SparkSession):
        type(self).spark = spark

    def make(self):
        config = SparkAlsConfig(factors=8, iterations=4)
        return SparkAls(config, run=lambda arguments: factorise(self.spark, arguments))


def test_it_names_items_of_the_same_taste(spark: SparkSession, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(factors, "_run_job", lambda arguments: factorise(spark, arguments))
    block_of = spark_als(Known(world()[0].counts(None)), TrainingSettings())
    item, neighbour, _ = strongest_weights(block_of, np.arange(ITEMS), 5)
    assert (
        item // ITEMS_PER_TASTE == neighbour // ITEMS_PER_TASTE
    ).mean() > 0.6  # a third by chance; 64 factors are many for 60 items
