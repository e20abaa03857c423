"""Calibrates a ranker's scores to probabilities without changing their order (Platt 1999)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_STEPS = 50
_LEAST_SLOPE = 1e-3


@dataclass(frozen=True)
class Platt:
    """The probability of a score is the logistic function of `slope · score + offset`.

    The slope is above 0, so that the order is unchanged. Both are in the exported graph: served scores are log odds.
    """

    slope: float = 1.0
    offset: float = 0.0

    def log_odds(self, scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Of scores of any shape."""
        return (self.slope * scores + self.offset).astype(np.float32)


def fit_platt(scores: Floats, taken: npt.NDArray[np.bool_]) -> Platt:
    """By Newton's method on the log loss, with Platt's targets just inside 0 and 1 so that it stays finite.

    One entry per candidate. Scores without information, or that rank in the wrong order, keep a slope of 1.
    """
    positives = int(taken.sum())
    targets = np.where(taken, (positives + 1) / (positives + 2), 1 / (len(taken) - positives + 2))
    slope, offset = _newton(scores, targets, slope_free=True)
    if not (np.isfinite([slope, offset]).all() and slope >= _LEAST_SLOPE):
        slope, offset = _newton(scores, targets, slope_free=False)
    return Platt(float(slope), float(offset))


def _newton(scores: Floats, targets: Floats, *, slope_free: bool) -> Floats:
    inputs = np.stack([scores, np.ones(len(scores))])
    free = [0, 1] if slope_free else [1]
    found = np.array([1.0, 0.0])
    loss = _log_loss(found, inputs, targets)
    for _ in range(_STEPS):
        probability = 1 / (1 + np.exp(-np.clip(found @ inputs, -60, 60)))
        gradient = (inputs @ (probability - targets))[free]
        curvature = (inputs * (probability * (1 - probability))) @ inputs.T
        change = np.zeros(2)
        change[free] = np.linalg.lstsq(curvature[np.ix_(free, free)], gradient, rcond=None)[0]
        while (new := _log_loss(found - change, inputs, targets)) > loss and np.abs(change).max() > 1e-9:
            change = change / 2  # a full step may overshoot where the curve is flat
        if loss - new < 1e-10 * loss:
            break
        found, loss = found - change, new
    return found


def _log_loss(found: Floats, inputs: Floats, targets: Floats) -> float:
    odds = found @ inputs
    return float((np.logaddexp(0, odds) - targets * odds).sum())
