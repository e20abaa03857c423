"""Trains the ranker and keeps the weights that validated best."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.progress import Progress

from headrace.features.ranking import CATEGORICAL, NUMERIC
from headrace.outcomes import OUTCOMES
from headrace.settings.jobs import TrainingSettings
from models.metrics.probabilities import area_under_curve
from models.metrics.resampling import slack
from models.ranker.calibration import Platt, fit_platt
from models.ranker.committee import Committee
from models.ranker.examples.examples import RankingExamples
from models.ranker.examples.training_data import RankingData
from models.ranker.export import write_ranker_onnx
from models.ranker.fitting import fit_ranker, outcome_weights, steps_and_epochs
from models.ranker.int8 import Int8Report, onnx_scores
from models.ranker.trees.boosting import TreesToCome, trees_beside
from models.ranker.validation import ProbabilityReport, personal_frequency, validate, validate_probabilities
from models.training.checkpoints import Checkpoints

Floats = npt.NDArray[np.float32]
_USERS_SCORED_AT_ONCE = 32


@dataclass
class RankerReport:
    """What training did and how good it got on the validation users."""

    users: int
    """Training lists: a user of two holdouts counts twice."""
    validation_users: int
    seconds: float = 0.0
    earlier_days: list[str] = field(default_factory=list)
    """Last days of the earlier holdouts that were trained on."""
    learned_until: str = ""
    """Last day of what the validated ranker was trained on; set by the command, as are the two below."""
    losses: list[float] = field(default_factory=list)
    """Mean loss of each epoch."""
    ndcg_all: list[float] = field(default_factory=list)
    """nDCG@20 on task all after each epoch, and at last with the trees."""
    ndcg_new: list[float] = field(default_factory=list)
    personal_frequency_ndcg_all: float = 0.0
    ndcg_all_slack: float = 0.0
    """How much nDCG@20 less personal frequency's may be too low by chance."""
    probabilities: ProbabilityReport | None = None
    """Of the calibrated scores by cross-validation: each half of the validation users, calibrated on the other half."""
    calibration_error_before: float = 0.0
    """The same error without calibration."""
    calibration_slope: float = 1.0
    calibration_offset: float = 0.0
    outcome_auc: dict[str, float] = field(default_factory=dict)
    """AUC of each outcome that was trained and occurs, over the validation users' candidates."""
    served_overlap: float = 0.0
    """Share of the first 20 positions that the served ranker has in common with the validated one."""
    served_overlap_slack: float = 0.0
    int8: Int8Report | None = None
    log_loss: float = 0.0
    """Of the softmax over a user's candidates, per taken candidate."""


def train_ranker_model(
    ranking_data: RankingData,
    training: TrainingSettings,
    progress: Progress,
    checkpoints: Checkpoints | None = None,
    on_evaluation: Callable[[float, int, int], None] | None = None,
) -> tuple[Committee, RankerReport]:
    """Train on what comes before the last holdout, where there is that, and validate on it after every epoch.

    With `checkpoints` a training that was killed resumes from the newest, and ends with the same model.
    `on_evaluation` gets the sum of both tasks' nDCG@20, the number of the epoch and how many are planned, and may raise
    to stop the training.
    """
    learning, validation_users = ranking_data.learning, ranking_data.validation_users
    validation_counts = ranking_data.validation_counts
    report = RankerReport(len(learning), len(validation_users), earlier_days=[str(day) for day in ranking_data.earlier])
    personal = validate(personal_frequency(validation_users), validation_users, validation_counts)
    report.personal_frequency_ndcg_all = personal.ndcg_all

    epochs, planned = itertools.count(1), steps_and_epochs(learning, training)[1]

    def metrics_of(scores: Floats) -> dict[str, float]:
        validation_score = validate(scores, validation_users, validation_counts)
        short = slack(validation_score.of_all, personal.of_all)
        return {"ndcg_all": validation_score.ndcg_all, "ndcg_new": validation_score.ndcg_new, "ndcg_all_slack": short}

    def after_epoch(model: Committee) -> dict[str, float]:
        found = metrics_of(score_examples(model, validation_users))
        if on_evaluation:
            on_evaluation(found["ndcg_all"] + found["ndcg_new"], next(epochs), planned)
        return found

    started = time.perf_counter()
    model, curves = _fitted(learning, ranking_data, training, progress, after_epoch, checkpoints)
    scores, taken = scores_as_served(model, validation_users), validation_users.taken > 0
    if model.trees:
        for name, value in metrics_of(scores).items():
            curves[name].append(value)
    report.losses, report.ndcg_all, report.ndcg_new = curves["losses"], curves["ndcg_all"], curves["ndcg_new"]
    report.ndcg_all_slack = curves["ndcg_all_slack"][-1]
    report.outcome_auc = _outcome_auc(model, validation_users, training)
    _calibrate(model, scores, validation_users, report)
    report.log_loss = _log_loss(scores, taken & validation_users.present, validation_users.present)
    report.seconds = time.perf_counter() - started
    return model, report


def train_served(
    ranking_data: RankingData,
    training: TrainingSettings,
    progress: Progress,
    validated: Committee,
    trees: TreesToCome | None = None,
) -> Committee:
    """The ranker to serve: trained like `validated`, with its calibration, on all lists.

    Its `trees` may have been started before, by `trees_beside` of `ranking_data.everyone`.
    """
    model, _ = _fitted(ranking_data.everyone, ranking_data, training, progress, lambda _: {}, None, trees)
    model.platt = validated.platt
    return model


def _fitted(
    examples: RankingExamples,
    ranking_data: RankingData,
    training: TrainingSettings,
    progress: Progress,
    after_epoch: Callable[[Committee], dict[str, float]],
    checkpoints: Checkpoints | None,
    trees: TreesToCome | None = None,
) -> tuple[Committee, dict[str, list[float]]]:
    """Members and, if set, trees, trained on `examples`; and the members' loss curves."""
    trees = trees or trees_beside(examples, training, progress)
    model, curves = fit_ranker(examples, ranking_data.cardinalities, training, progress, after_epoch, checkpoints)
    if grown := trees():
        model.join(grown, training.ranker_trees_share)
    return model, curves


def _outcome_auc(model: Committee, validation_users: RankingExamples, training: TrainingSettings) -> dict[str, float]:
    learned = [column for column, weight in enumerate(outcome_weights(training)) if weight]
    if not learned:
        return {}
    found = np.concatenate(
        [
            model.outcomes(numeric[present], categorical[present]).numpy()
            for numeric, categorical, present in zip(
                validation_users.numeric, validation_users.categorical, validation_users.present, strict=True
            )
        ]
    )
    happened = validation_users.outcomes[validation_users.present] > 0
    return {
        OUTCOMES[column]: area_under_curve(found[:, column], happened[:, column])
        for column in learned
        if happened[:, column].any()
    }


def _calibrate(model: Committee, scores: Floats, validation_users: RankingExamples, report: RankerReport) -> None:
    """By all validation users; its error is measured on those that it did not see."""
    report.calibration_error_before = validate_probabilities(scores, validation_users).calibration_error
    crossed, present, taken = scores.copy(), validation_users.present, validation_users.taken
    even = np.arange(len(validation_users)) % 2 == 0
    for half in (even, ~even):
        if half.any() and (~half).any():
            crossed[half] = _platt_of(scores[~half], present[~half], taken[~half]).log_odds(scores[half])
    report.probabilities = validate_probabilities(crossed, validation_users)
    model.platt = _platt_of(scores, present, taken)
    report.calibration_slope, report.calibration_offset = model.platt.slope, model.platt.offset


def _platt_of(scores: Floats, present: npt.NDArray[np.bool_], taken: Floats) -> Platt:
    return fit_platt(scores[present].astype(np.float64), taken[present] > 0)


def score_examples(model: Committee, examples: RankingExamples) -> npt.NDArray[np.float32]:
    """[users, candidates]."""
    scores = []
    for begin in range(0, len(examples), _USERS_SCORED_AT_ONCE):
        users = slice(begin, begin + _USERS_SCORED_AT_ONCE)
        numeric, categorical = examples.numeric[users], examples.categorical[users]
        flat = model.score(numeric.reshape(-1, len(NUMERIC)), categorical.reshape(-1, len(CATEGORICAL)))
        scores.append(flat.numpy().reshape(numeric.shape[:2]))
    return np.concatenate(scores)


def scores_as_served(model: Committee, examples: RankingExamples) -> npt.NDArray[np.float32]:
    """[users, candidates], calibrated as the model is: by ONNX Runtime, which walks trees many times faster."""
    with tempfile.TemporaryDirectory() as folder:
        ranker = Path(folder) / "ranker.onnx"
        write_ranker_onnx(model, ranker)
        return onnx_scores(ranker, examples)


def _log_loss(scores: npt.NDArray[np.float32], taken: npt.NDArray[np.bool_], present: npt.NDArray[np.bool_]) -> float:
    visible = np.where(present, scores, -np.inf)
    visible -= visible.max(axis=1, keepdims=True)
    log_shares = visible - np.log(np.exp(visible).sum(axis=1, keepdims=True))
    return float(-log_shares[taken].mean()) if taken.any() else 0.0
