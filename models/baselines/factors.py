"""Matrix factorisation of implicit feedback (Hu, Koren, Volinsky 2008): by the `implicit` package, and by Spark."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, PositiveFloat, PositiveInt
from scipy import sparse

from headrace.errors import HeadraceError
from headrace.settings import load_settings
from models.baselines.interactions import Floats, Interactions, Rows
from models.baselines.interface import Baseline


class FactorsConfig(BaseModel):
    factors: PositiveInt = 64
    """Length of user and item vectors."""
    regularisation: PositiveFloat = 10.0
    """Larger: shorter vectors."""
    alpha: PositiveFloat = 1.0
    """Confidence of a pair: 1 + alpha × its count."""
    iterations: PositiveInt = 15
    """Times that both sides are solved."""
    half_life_days: PositiveFloat | None = None
    """Counts are halved every so many days; None: all count alike."""
    seed: int = 7


class _Factors(Baseline):
    """Scores are inner products of the vectors that `_learn` leaves."""

    _users: Floats
    _items: Floats

    def __init__(self, config: FactorsConfig | None = None) -> None:
        self.config = config or FactorsConfig()

    def scores(self, users: Rows) -> Floats:
        """See the interface."""
        return self._users[users] @ self._items.T


class ImplicitAls(_Factors):
    """iALS in memory, by the `implicit` package."""

    name: ClassVar = "iALS (implicit)"

    def _learn(self, events: Interactions) -> None:
        self._users, self._items = implicit_vectors(events.counts(self.config.half_life_days), self.config)


def implicit_vectors(counts: sparse.csr_matrix, config: FactorsConfig) -> tuple[Floats, Floats]:
    """Vectors of the users and the items of `counts` [users, items]."""
    from implicit.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    confidence = counts.copy()
    confidence.data = (1 + config.alpha * counts.data).astype(np.float32)  # the package takes values as confidences
    with threadpool_limits(1, "blas"):  # its own threads do the work; those of BLAS would fight them
        model = AlternatingLeastSquares(
            factors=config.factors,
            regularization=config.regularisation,
            iterations=config.iterations,
            random_state=config.seed,
        )
        model.fit(confidence, show_progress=False)
    return np.asarray(model.user_factors), np.asarray(model.item_factors)


class SparkAlsConfig(FactorsConfig):
    regularisation: PositiveFloat = 0.1
    """Larger: shorter vectors. Spark scales it by the number of a user's or item's pairs."""
    iterations: PositiveInt = 10


class SparkAls(_Factors):
    """The same by Spark, for data beyond one machine's memory: a job of `jobs/batch`; data is exchanged in files."""

    name: ClassVar = "ALS (Spark)"

    def __init__(
        self, config: SparkAlsConfig | None = None, run: Callable[[Sequence[str]], None] | None = None
    ) -> None:
        """`run` as for `spark_vectors`."""
        super().__init__(config or SparkAlsConfig())
        self._run = run

    def _learn(self, events: Interactions) -> None:
        counts = events.counts(self.config.half_life_days)
        self._users, self._items = spark_vectors(counts, self.config, self._run)


def spark_vectors(
    counts: sparse.csr_matrix, config: FactorsConfig, run: Callable[[Sequence[str]], None] | None = None
) -> tuple[Floats, Floats]:
    """Vectors of the users and the items of `counts` [users, items]; zeros for rows without a pair.

    `run` starts the job with its arguments; by default in a process of its own.
    """
    cells = counts.tocoo()
    pairs = {"user": cells.row.astype(np.int32), "item": cells.col.astype(np.int32), "count": cells.data}
    with tempfile.TemporaryDirectory(prefix="headrace-als-") as name:
        folder = Path(name)
        pq.write_table(pa.table(pairs), folder / "pairs.parquet")
        given = {"factors": config.factors, "regularisation": config.regularisation}
        given |= {"alpha": config.alpha, "iterations": config.iterations, "seed": config.seed}
        options = [f"--{option}={value}" for option, value in given.items()]
        (run or _run_job)(["--pairs", str(folder / "pairs.parquet"), "--output", str(folder), *options])
        users, items = (
            _read(folder / f"{side}_factors", number, config.factors)
            for side, number in zip(("user", "item"), counts.shape, strict=True)
        )
    return users, items


def _read(folder: Path, number: int, factors: int) -> Floats:
    """[number, factors]; zeros for rows without a pair."""
    table = pq.read_table(folder)
    vectors = np.zeros((number, factors), np.float32)
    flat = table.column("features").combine_chunks().flatten().to_numpy()
    vectors[table.column("id").to_numpy()] = flat.reshape(-1, factors)
    return vectors


def _run_job(arguments: Sequence[str]) -> None:
    """A subprocess, because `models` does not import Spark."""
    command = [sys.executable, "-m", "jobs.batch.training.als", *arguments]
    environment = {**os.environ, **load_settings().as_environment()}
    done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise HeadraceError(f"Spark's ALS failed: {''.join(last)}", "Run `headrace doctor`")
