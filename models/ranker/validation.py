"""Metrics of the ranker's scores on the candidates of validation users."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headrace.features.ranking import NUMERIC
from models.metrics.probabilities import NO_PAIR, area_per_user, area_under_curve, calibration, log_loss
from models.metrics.ranking import NO_ITEM, Targets, score_lists
from models.ranker.examples.examples import RankingExamples

K = 20
_OWN = NUMERIC.index("own_count")
_DECAYED = NUMERIC.index("own_decayed_count")
_POPULARITY = NUMERIC.index("popularity")

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ValidationScore:
    """nDCG@20 of each user that has targets of the kind, by task."""

    of_all: npt.NDArray[np.float64]
    of_new: npt.NDArray[np.float64]

    @property
    def ndcg_all(self) -> float:
        """Mean on task all."""
        return float(self.of_all.mean()) if len(self.of_all) else 0.0

    @property
    def ndcg_new(self) -> float:
        """Mean on task new."""
        return float(self.of_new.mean()) if len(self.of_new) else 0.0


@dataclass(frozen=True)
class ProbabilityReport:
    """Metrics of the scores as probabilities (their logistic function) of each candidate being taken."""

    auc: float
    """Of all users' candidates together."""
    auc_per_user: float
    """Mean over users of the AUC inside their own candidates."""
    probability_log_loss: float
    calibration_error: float
    """Mean |predicted − happened| over the bins of the curve."""
    predicted: list[float]
    """Calibration curve: mean probability of each of 15 bins of equal numbers of candidates."""
    happened: list[float]
    """Share of each bin's candidates that were taken."""


def validate_probabilities(scores: Floats, examples: RankingExamples) -> ProbabilityReport:
    """Of `scores` [users, candidates]."""
    users = np.nonzero(examples.present)[0]
    score, taken = scores[examples.present].astype(np.float64), examples.taken[examples.present] > 0
    probability = 1.0 / (1.0 + np.exp(-np.clip(score, -60, 60)))
    of_users = area_per_user(users, score, taken)
    curve = calibration(probability, taken)
    return ProbabilityReport(
        auc=area_under_curve(score, taken),
        auc_per_user=float(np.nanmean(of_users)) if not np.isnan(of_users).all() else NO_PAIR,
        probability_log_loss=log_loss(probability, taken),
        calibration_error=curve.error,
        predicted=curve.predicted.tolist(),
        happened=curve.happened.tolist(),
    )


def validate(scores: Floats, examples: RankingExamples, counts: npt.NDArray[np.int64]) -> ValidationScore:
    """nDCG@20 of `scores` [users, candidates] on both tasks.

    `counts` [users, 2] has the number of all and of new targets, those that are not candidates included: what candidate
    generation misses counts against the list.
    """
    is_new = examples.numeric[:, :, _OWN] <= 0
    return ValidationScore(
        _ndcg(scores, examples.present, examples.taken > 0, counts[:, 0]),
        _ndcg(scores, examples.present & is_new, (examples.taken > 0) & is_new, counts[:, 1]),
    )


def personal_frequency(examples: RankingExamples) -> Floats:
    """[users, candidates]: own items by decayed count, then the rest by popularity."""
    numeric = examples.numeric
    return np.where(numeric[:, :, _OWN] > 0, 1e3 + numeric[:, :, _DECAYED], numeric[:, :, _POPULARITY])


def _ndcg(
    scores: Floats, shown: npt.NDArray[np.bool_], taken: npt.NDArray[np.bool_], counts: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    evaluated = np.flatnonzero(counts > 0)
    if not len(evaluated):
        return np.zeros(0)
    k = min(K, scores.shape[1])
    visible = np.where(shown[evaluated], scores[evaluated], -np.inf)
    lists = np.argsort(-visible, axis=1, kind="stable")[:, :k]
    lists[~np.take_along_axis(shown[evaluated], lists, axis=1)] = NO_ITEM
    columns = scores.shape[1]
    targets = []
    for user in evaluated:
        found = np.flatnonzero(taken[user] & shown[user])
        missed = max(int(counts[user]) - len(found), 0 if len(found) else 1)
        targets.append(np.concatenate([found, columns + np.arange(missed)]))
    return score_lists(lists, Targets.of(targets), k).ndcg
