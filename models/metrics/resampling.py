"""How sure a mean over users is: bootstrap intervals, and paired ratios of two models on the same users."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from headrace.errors import BadInputError

Floats = npt.NDArray[np.float64]
DRAWS = 1000


def interval(values: Floats, draws: int = DRAWS, seed: int = 0) -> tuple[float, float]:
    """95 % percentile-bootstrap interval of the mean over users."""
    return bounds(resampled_means([values], draws, seed)[0])


def paired_ratio(candidate: Floats, reference: Floats, draws: int = DRAWS, seed: int = 0) -> tuple[float, float, float]:
    """Mean of `candidate` over mean of `reference` (same users) and its 95 % interval."""
    drawn = resampled_means([candidate, reference], draws, seed)
    return (float(candidate.mean() / reference.mean()), *bounds(drawn[0] / drawn[1]))


def slack(candidate: Floats, reference: Floats) -> float:
    """Upper bound minus mean of the 95 % interval of the mean of candidate − reference over the same users."""
    difference = candidate - reference
    return interval(difference)[1] - float(difference.mean()) if len(difference) else 0.0


def paired_difference(candidate: Floats, reference: Floats, share: float = 0.95) -> tuple[float, float, float]:
    """Mean of candidate − reference (same users) and the interval that holds `share` of its resampled means."""
    difference = candidate - reference
    return (float(difference.mean()), *bounds(resampled_means([difference])[0], share))


def bounds(drawn: Floats, share: float = 0.95) -> tuple[float, float]:
    """The middle `share` of what was drawn."""
    outside = round(50 * (1 - share), 9)  # 2.5, not 2.5000000000000022
    low, high = np.percentile(drawn, [outside, 100 - outside])
    return float(low), float(high)


def resampled_means(columns: Sequence[Floats], draws: int = DRAWS, seed: int = 0) -> Floats:
    """[columns, draws]: mean of each column over each bootstrap sample of users; the same seed draws the same users.

    All columns are of the same users, and share the drawing, which costs more than the means. Raises BadInputError if
    they are not.
    """
    users = len(columns[0])
    if any(len(values) != users for values in columns):
        raise BadInputError(
            "two models with lists for different users cannot be compared", "Score both on the same users"
        )
    random = np.random.default_rng(seed)
    means = np.empty((len(columns), draws))
    for draw in range(draws):
        sample = random.integers(0, users, size=users)
        for number, values in enumerate(columns):
            means[number, draw] = values[sample].mean()
    return means
