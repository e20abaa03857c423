"""Trains the ranker and keeps what judged best."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from rich.progress import Progress

from headrace.ranking_features import CATEGORICAL, NUMERIC
from headrace.settings import TrainingSettings
from models.ranker.examples import RankingExamples
from models.ranker.judging import Judgement, area_under_curve, judge, personal_frequency
from models.ranker.losses import RankingLoss
from models.ranker.model import Scaling, WideAndDeep

_USERS_SCORED_AT_ONCE = 32


@dataclass
class RankerReport:
    """What training did and how good it got on the users kept for judging."""

    users: int
    judges: int
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    """Mean loss of each epoch."""
    ndcg_all: list[float] = field(default_factory=list)
    """nDCG@20 on task all after each epoch."""
    ndcg_new: list[float] = field(default_factory=list)
    personal_frequency_ndcg_all: float = 0.0
    auc: float = 0.0
    log_loss: float = 0.0
    """Of the softmax over a user's candidates, per taken candidate."""


def train_ranker_model(
    examples: RankingExamples,
    judges: RankingExamples,
    judge_counts: npt.NDArray[np.int64],
    cardinalities: tuple[int, ...],
    training: TrainingSettings,
    progress: Progress,
) -> tuple[WideAndDeep, RankerReport]:
    """Train on `examples` and judge after every epoch on `judges` (with their target counts [users, 2])."""
    tf.keras.utils.set_random_seed(training.seed)
    tf.config.experimental.enable_op_determinism()
    loss = RankingLoss(training.ranker_loss, training.ranker_new_weight)
    model = WideAndDeep(Scaling.of(examples.numeric[examples.present]), cardinalities, loss, training.seed)
    steps = -(-len(examples) // _users_per_step(examples, training))
    rate = tf.keras.optimizers.schedules.CosineDecay(
        training.ranker_learning_rate, steps * training.ranker_epochs, 0.05
    )
    model.compile(optimizer=tf.keras.optimizers.legacy.Adam(rate))
    report = RankerReport(len(examples), len(judges))
    report.personal_frequency_ndcg_all = judge(personal_frequency(judges), judges, judge_counts).ndcg_all
    random = np.random.default_rng(training.seed)
    task = progress.add_task("ranker", total=steps * training.ranker_epochs)
    for _ in range(training.ranker_epochs):
        started = time.perf_counter()
        losses = _Losses()
        model.fit(_batches(examples, training, random), epochs=1, verbose=0, callbacks=[losses])
        report.seconds += time.perf_counter() - started
        judgement = _judge(model, judges, judge_counts)
        report.losses.append(float(np.mean(losses.values)))
        report.ndcg_all.append(judgement.ndcg_all)
        report.ndcg_new.append(judgement.ndcg_new)
        progress.update(task, advance=steps, description=f"ranker, nDCG@20 {judgement.ndcg_all:.4f}")
    scores = score_examples(model, judges)
    taken = judges.taken > 0
    report.auc = area_under_curve(scores[judges.present], taken[judges.present])
    report.log_loss = _log_loss(scores, taken & judges.present, judges.present)
    return model, report


def score_examples(model: WideAndDeep, examples: RankingExamples) -> npt.NDArray[np.float32]:
    """[users, candidates]."""
    exported = model.exported()
    function = tf.function(exported.call, input_signature=exported.signature)
    scores = []
    for begin in range(0, len(examples), _USERS_SCORED_AT_ONCE):
        users = slice(begin, begin + _USERS_SCORED_AT_ONCE)
        numeric, categorical = examples.numeric[users], examples.categorical[users]
        flat = function(
            tf.constant(numeric.reshape(-1, len(NUMERIC))), tf.constant(categorical.reshape(-1, len(CATEGORICAL)))
        )
        scores.append(flat.numpy().reshape(numeric.shape[:2]))
    return np.concatenate(scores)


class _Losses(tf.keras.callbacks.Callback):
    """Keeps the loss of every step: Keras itself only shows the last one's."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[float] = []

    def on_train_batch_end(self, _batch: int, logs: dict[str, float] | None = None) -> None:
        self.values.append(float((logs or {})["loss"]))


def _judge(model: WideAndDeep, judges: RankingExamples, counts: npt.NDArray[np.int64]) -> Judgement:
    return judge(score_examples(model, judges), judges, counts)


def _users_per_step(examples: RankingExamples, training: TrainingSettings) -> int:
    return max(1, training.ranker_batch_size // examples.present.shape[1])


def _batches(examples: RankingExamples, training: TrainingSettings, random: np.random.Generator) -> tf.data.Dataset:
    size = _users_per_step(examples, training)
    order = random.permutation(len(examples))

    def parts() -> Iterator[dict[str, npt.NDArray[np.generic]]]:
        for begin in range(0, len(order), size):
            part = examples[order[begin : begin + size]]
            yield {
                "numeric": part.numeric,
                "categorical": part.categorical,
                "taken": part.taken,
                "present": part.present.astype(np.float32),
            }

    candidates = examples.present.shape[1]
    signature = {
        "numeric": tf.TensorSpec([None, candidates, len(NUMERIC)], tf.float32),
        "categorical": tf.TensorSpec([None, candidates, len(CATEGORICAL)], tf.int32),
        "taken": tf.TensorSpec([None, candidates], tf.float32),
        "present": tf.TensorSpec([None, candidates], tf.float32),
    }
    return tf.data.Dataset.from_generator(parts, output_signature=signature).prefetch(4)


def _log_loss(scores: npt.NDArray[np.float32], taken: npt.NDArray[np.bool_], present: npt.NDArray[np.bool_]) -> float:
    visible = np.where(present, scores, -np.inf)
    visible -= visible.max(axis=1, keepdims=True)
    log_shares = visible - np.log(np.exp(visible).sum(axis=1, keepdims=True))
    return float(-log_shares[taken].mean()) if taken.any() else 0.0
