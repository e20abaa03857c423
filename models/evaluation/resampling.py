"""How sure a mean over users is: bootstrap intervals, and paired ratios of two models on the same users."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from headrace.errors import BadInputError

Floats = npt.NDArray[np.float64]
DRAWS = 1000


def interval(values: Floats, draws: int = DRAWS, seed: int = 0) -> tuple[float, float]:
    """95 % percentile-bootstrap interval of the mean over users."""
    low, high = np.percentile(_resampled_means(values, draws, seed), [2.5, 97.5])
    return float(low), float(high)


def paired_ratio(candidate: Floats, reference: Floats, draws: int = DRAWS, seed: int = 0) -> tuple[float, float, float]:
    """Mean of `candidate` over mean of `reference` (same users) and its 95 % interval."""
    if len(candidate) != len(reference):
        raise BadInputError("two models of different users cannot be compared", "Score both on the same users")
    ratios = _resampled_means(candidate, draws, seed) / _resampled_means(reference, draws, seed)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return float(candidate.mean() / reference.mean()), float(low), float(high)


def slack(candidate: Floats, reference: Floats) -> float:
    """How much the mean of candidate − reference (same users) may be too low by chance: 95 % interval, upper half."""
    difference = candidate - reference
    return interval(difference)[1] - float(difference.mean()) if len(difference) else 0.0


def _resampled_means(values: Floats, draws: int, seed: int) -> Floats:
    """Mean of each bootstrap sample of users; the same seed draws the same users."""
    random = np.random.default_rng(seed)
    samples = (random.integers(0, len(values), size=len(values)) for _ in range(draws))
    return np.array([values[users].mean() for users in samples])
