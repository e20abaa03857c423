"""The device and surface of an event are the same in batch as in serving."""

from __future__ import annotations

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from headrace.features.context import DEVICE, SURFACE, context_features, named_sql

SAID = [" Phone ", "Smart TV", "\t desktop\r\n", "ΤΗΛΕΦΩΝΟΣ", "İPAD", "it's 'new'", "\u00a0watch", "", "  ", "unknown"]


def test_batch_names_what_serving_names(spark: SparkSession) -> None:
    contexts = [{}, *({DEVICE: said, SURFACE: said[::-1]} for said in SAID)]
    rows = spark.createDataFrame([(each,) for each in contexts], "context map<string, string>").coalesce(1)
    batch = rows.select("context", *(F.expr(named_sql(name)).alias(name) for name in (DEVICE, SURFACE))).collect()
    for row in batch:
        serving = context_features(0, row["context"])
        assert (row[DEVICE], row[SURFACE]) == (serving.device, serving.surface), row["context"]
    assert {row[DEVICE] for row in batch} >= {"phone", "smart tv", "desktop", "unknown"}
