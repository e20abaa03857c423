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
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, PositiveFloat, PositiveInt

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

    _users: npt.NDArray[np.float32]
    _items: npt.NDArray[np.float32]

    def __init__(self, config: FactorsConfig | None = None) -> None:
        self.config = config or FactorsConfig()

    def scores(self, users: Rows) -> Floats:
        """See the interface."""
        return self._users[users] @ self._items.T


class ImplicitAls(_Factors):
    """iALS in memory, by the `implicit` package."""

    name: ClassVar = "iALS (implicit)"

    def _learn(self, events: Interactions) -> None:
        from implicit.als import AlternatingLeastSquares
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1, "blas"):  # its own threads do the work; those of BLAS would fight them
            model = AlternatingLeastSquares(
                factors=self.config.factors,
                regularization=self.config.regularisation,
                alpha=self.config.alpha,
                iterations=self.config.iterations,
                random_state=self.config.seed,
            )
            model.fit(events.counts(self.config.half_life_days), show_progress=False)
        self._users, self._items = np.asarray(model.user_factors), np.asarray(model.item_factors)


class SparkAlsConfig(FactorsConfig):
    regularisation: PositiveFloat = 0.1
    """Larger: shorter vectors. Spark scales it by the number of a user's or item's pairs."""
    iterations: PositiveInt = 10


class SparkAls(_Factors):
    """The same by Spark, for more than one machine's memory: a job of `jobs/batch`, met in files."""

    name: ClassVar = "ALS (Spark)"

    def __init__(
        self, config: SparkAlsConfig | None = None, run: Callable[[Sequence[str]], None] | None = None
    ) -> None:
        """`run` starts the job with its arguments; by default in a process of its own."""
        super().__init__(config or SparkAlsConfig())
        self._run = run or _run_job

    def _learn(self, events: Interactions) -> None:
        counts = events.counts(self.config.half_life_days).tocoo()
        pairs = {"user": counts.row.astype(np.int32), "item": counts.col.astype(np.int32), "count": counts.data}
        with tempfile.TemporaryDirectory(prefix="headrace-als-") as name:
            folder = Path(name)
            pq.write_table(pa.table(pairs), folder / "pairs.parquet")
            given = {"factors": self.config.factors, "regularisation": self.config.regularisation}
            given |= {"alpha": self.config.alpha, "iterations": self.config.iterations, "seed": self.config.seed}
            options = [f"--{option}={value}" for option, value in given.items()]
            self._run(["--pairs", str(folder / "pairs.parquet"), "--output", str(folder), *options])
            self._users = self._read(folder / "user_factors", events.shape[0])
            self._items = self._read(folder / "item_factors", events.shape[1])

    def _read(self, folder: Path, number: int) -> npt.NDArray[np.float32]:
        """[number, factors]; zeros for who has no pair."""
        table = pq.read_table(folder)
        vectors = np.zeros((number, self.config.factors), np.float32)
        flat = table.column("features").combine_chunks().flatten().to_numpy()
        vectors[table.column("id").to_numpy()] = flat.reshape(-1, self.config.factors)
        return vectors


def _run_job(arguments: Sequence[str]) -> None:
    """Rooms meet in processes and files: models do not import Spark."""
    command = [sys.executable, "-m", "jobs.batch.als", *arguments]
    environment = {**os.environ, **load_settings().as_environment()}
    done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise HeadraceError(f"Spark's ALS failed: {''.join(last)}", "Run `headrace doctor`")
