"""Metrics of a ranker's scores and probabilities besides the order of its lists: AUC, log-loss, calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.errors import BadInputError

Floats = npt.NDArray[np.floating[Any]]
Flags = npt.NDArray[np.bool_]
_LEAST_PROBABILITY = 1e-7
NO_PAIR = 0.5
"""AUC without a pair to compare."""


def area_under_curve(scores: Floats, taken: Flags) -> float:
    """Probability that a taken candidate scores above one not taken; a tie counts half; 0.5 if there is no pair."""
    return float(_areas(np.zeros(len(scores), np.int64), scores, taken, 1)[0])


def area_per_user(users: npt.NDArray[np.int64], scores: Floats, taken: Flags) -> npt.NDArray[np.float64]:
    """AUC inside each user's candidates, by user number; NaN for users without a pair. Their mean is GAUC.

    `users`, `scores` and `taken` have one entry per candidate, in any order.
    """
    number = int(users.max(initial=-1)) + 1
    areas = _areas(users, scores, taken, number)
    positives = np.bincount(users, taken, number)
    return np.where((positives > 0) & (positives < np.bincount(users, minlength=number)), areas, np.nan)


def log_loss(probabilities: Floats, taken: Flags) -> float:
    """Mean −log of the probability of the outcome; probabilities are clipped to [1e-7, 1 − 1e-7]."""
    _require_probabilities(probabilities)
    sure = np.clip(probabilities, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return float(-np.log(np.where(taken, sure, 1 - sure)).mean())


@dataclass(frozen=True)
class Calibration:
    """What was predicted and what happened, in bins of equal numbers of candidates, least likely first."""

    counts: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.float64]
    """[bins]: mean probability."""
    happened: npt.NDArray[np.float64]
    """[bins]: share that was taken."""

    @property
    def error(self) -> float:
        """Expected calibration error: mean |predicted − happened|, weighted by the candidates of each bin."""
        return float(np.abs(self.predicted - self.happened) @ self.counts / self.counts.sum())


def calibration(probabilities: Floats, taken: Flags, bins: int = 15) -> Calibration:
    """Reliability of the probabilities. Bins hold equal numbers, because most probabilities are small.

    Guo et al. 2017 (ECE), with equal-mass bins. Fewer bins where there are fewer candidates.
    """
    _require_probabilities(probabilities)
    order = np.argsort(probabilities, kind="stable")
    edges = np.unique(np.linspace(0, len(order), bins + 1).astype(int))[:-1]
    counts = np.diff(np.append(edges, len(order)))
    sums = (np.add.reduceat(values[order].astype(float), edges) for values in (probabilities, taken))
    predicted, happened = (each / counts for each in sums)
    return Calibration(counts, predicted, happened)


def _areas(users: npt.NDArray[np.int64], scores: Floats, taken: Flags, number: int) -> npt.NDArray[np.float64]:
    """AUC of each user by the rank sum (Mann–Whitney), ties at their mean rank."""
    order = np.lexsort([scores, users])
    of_user, score = users[order], scores[order]
    starts = np.flatnonzero(np.append(True, (of_user[1:] != of_user[:-1]) | (score[1:] != score[:-1])))[: len(order)]
    lengths = np.diff(np.append(starts, len(order)))
    ranks = np.repeat(starts + (lengths + 1) / 2, lengths)
    counts = np.bincount(users, minlength=number)
    ranks -= (np.cumsum(counts) - counts)[of_user]
    positives = np.bincount(users, taken, number)
    pairs = positives * (counts - positives)
    wins = np.bincount(of_user, ranks * taken[order], number) - positives * (positives + 1) / 2
    return np.divide(wins, pairs, out=np.full(number, NO_PAIR), where=pairs > 0)


def _require_probabilities(values: Floats) -> None:
    if not len(values):
        raise BadInputError("no candidate was scored", "Score at least one")
    wrong = ~((values >= 0) & (values <= 1))
    if wrong.any():
        candidate = int(wrong.argmax())
        raise BadInputError(
            f"candidate {candidate}: {values[candidate]} is not a probability", "Calibrate the scores first"
        )
