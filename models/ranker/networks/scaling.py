"""Standardisation and bucketing of the ranker's numbers, computed from its training users."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CLASSES = 16
_SAMPLE = 100_000
"""Number of candidates, drawn at random, from which the statistics are computed."""


@dataclass(frozen=True)
class Scaling:
    """Means, spreads and classes of the numbers. Part of the model's graph, so that serving passes raw numbers."""

    mean: npt.NDArray[np.float32]
    spread: npt.NDArray[np.float32]
    steps: npt.NDArray[np.float32]
    """[numbers, CLASSES - 1]: ascending bounds of the classes, as equally full as the values allow."""
    start: float
    """Initial score: the log odds of being taken."""

    @classmethod
    def of(cls, numeric: npt.NDArray[np.float32], present: npt.NDArray[np.bool_], share_taken: float) -> Scaling:
        """From [users, candidates, numbers], which of them are there, and the share that were taken."""
        rows = np.flatnonzero(present)
        if len(rows) > _SAMPLE:
            rows = np.random.default_rng(0).choice(rows, _SAMPLE, replace=False)
        numeric = numeric.reshape(-1, numeric.shape[-1])[rows]
        share = min(max(share_taken, 1e-4), 1 - 1e-4)
        steps = np.quantile(numeric, np.linspace(0, 1, CLASSES + 1)[1:-1], axis=0).T
        return cls(
            numeric.mean(axis=0, dtype=np.float64).astype(np.float32),
            np.maximum(numeric.std(axis=0, dtype=np.float64), 1e-3).astype(np.float32),
            np.ascontiguousarray(steps, np.float32),
            float(np.log(share / (1 - share))),
        )
