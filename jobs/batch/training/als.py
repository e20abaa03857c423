"""Matrix factorisation by Spark ML: `python -m jobs.batch.training.als --pairs FILE --output FOLDER`.

Reads pairs (user, item, count; numbers) and writes `user_factors/` and `item_factors/` (id, features) as Parquet, which
`models.baselines` scores and evaluates like every other baseline.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pyspark.ml.recommendation import ALS
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from headrace.machine.last_resort import reporting_errors
from headrace.settings import load_settings
from jobs.batch.engine.session import spark_session


def factorise(spark: SparkSession, argv: Sequence[str]) -> None:
    """Fit and write the vectors of both sides. The result is deterministic for the same pairs, seed and cluster."""
    given = _arguments(argv)
    pairs = spark.read.parquet(str(given.pairs))
    model = ALS(
        rank=given.factors,
        maxIter=given.iterations,
        regParam=given.regularisation,
        alpha=given.alpha,
        seed=given.seed,
        implicitPrefs=True,
        userCol="user",
        itemCol="item",
        ratingCol="count",
    ).fit(pairs)
    for name, factors in (("user_factors", model.userFactors), ("item_factors", model.itemFactors)):
        chosen = factors.select("id", F.col("features").cast("array<float>"))
        chosen.write.mode("overwrite").parquet(str(given.output / name))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m jobs.batch.training.als", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--pairs", type=Path, required=True, help="Parquet file of user, item, count")
    parser.add_argument("--output", type=Path, required=True, help="folder for user_factors/ and item_factors/")
    parser.add_argument("--factors", type=int, default=64, help="length of the vectors (default 64)")
    parser.add_argument("--regularisation", type=float, default=0.1, help="default 0.1")
    parser.add_argument("--alpha", type=float, default=1.0, help="confidence of a count (default 1)")
    parser.add_argument("--iterations", type=int, default=10, help="default 10")
    parser.add_argument("--seed", type=int, default=7, help="default 7")
    return parser.parse_args(argv)


def main(arguments: list[str]) -> int:
    """0, or 1 with one line on stderr."""
    _arguments(arguments)
    return reporting_errors(lambda: _factorise(arguments), "error: ")


def _factorise(arguments: list[str]) -> None:
    with spark_session("als", load_settings()) as session:
        factorise(session, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
