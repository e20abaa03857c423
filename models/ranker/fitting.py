"""Fits rankers to whole candidate lists, a batch of users at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from rich.progress import Progress

from headrace.outcomes import OUTCOMES
from headrace.settings.jobs import TrainingSettings
from models.ranker.committee import Committee
from models.ranker.examples.examples import RankingExamples
from models.ranker.examples.exposure import position_codes_and_weights
from models.ranker.networks.losses import RankingLoss
from models.ranker.networks.model import RankerInputs
from models.ranker.networks.scaling import Scaling
from models.training.checkpoints import Checkpoints


@dataclass
class Standing:
    """Progress of a training."""

    steps: int = 0
    losses: list[float] = field(default_factory=list)
    """Of every step."""
    curves: dict[str, list[float]] = field(default_factory=dict)
    """What was measured after each whole epoch, by name."""


def fit_ranker(
    examples: RankingExamples,
    cardinalities: tuple[int, ...],
    training: TrainingSettings,
    progress: Progress,
    after_epoch: Callable[[Committee], dict[str, float]],
    checkpoints: Checkpoints | None,
) -> tuple[Committee, dict[str, list[float]]]:
    """The model, and its mean loss and what `after_epoch` measured of each epoch.

    With `checkpoints` a training that was killed resumes from the newest.
    """
    tf.keras.utils.set_random_seed(training.seed)
    tf.config.experimental.enable_op_determinism()
    loss = RankingLoss(training.ranker_loss, training.ranker_new_weight)
    usual = float((examples.taken[examples.present] > 0).mean())
    scaling = Scaling.of(examples.numeric, examples.present, usual)
    inputs = RankerInputs(scaling, cardinalities, outcome_weights(training))
    model = Committee(training.ranker_model, training.ranker_members, inputs, loss, training.seed)
    size = _users_a_step(examples, training)
    steps, epochs = steps_and_epochs(examples, training)
    rate = tf.keras.optimizers.schedules.CosineDecay(training.ranker_learning_rate, steps * epochs, 0.05)
    model.compile(optimizer=tf.keras.optimizers.legacy.Adam(rate))
    signature = {
        name: tf.TensorSpec([None, *values.shape[1:]], values.dtype)
        for name, values in _lists(examples[:1], training).items()
    }
    step = tf.function(lambda lists: model.train_step(lists), input_signature=[signature], autograph=False)
    standing = Standing(**checkpoints.restore(model)) if checkpoints else Standing()
    task = progress.add_task("ranker", total=steps * epochs, completed=standing.steps)
    for number, users in enumerate(_steps(len(examples), size, epochs, training.seed), start=1):
        if number <= standing.steps:
            continue
        standing.losses.append(float(step(_lists(examples[users], training))["loss"]))
        standing.steps = number
        if number % steps == 0:
            measured = {"losses": float(np.mean(standing.losses[-steps:])), **after_epoch(model)}
            for name, value in measured.items():
                standing.curves.setdefault(name, []).append(value)
        if checkpoints and checkpoints.is_due():
            checkpoints.save(model, number, asdict(standing))
        progress.advance(task)
    if checkpoints:
        checkpoints.drop()
    return model, standing.curves


def steps_and_epochs(examples: RankingExamples, training: TrainingSettings) -> tuple[int, int]:
    """Steps of an epoch, and how many epochs there are."""
    steps = -(-len(examples) // _users_a_step(examples, training))
    return steps, max(training.ranker_epochs, -(-training.ranker_least_steps // steps))


def _users_a_step(examples: RankingExamples, training: TrainingSettings) -> int:
    return max(1, training.ranker_batch_size // examples.present.shape[1])


def outcome_weights(training: TrainingSettings) -> tuple[float, ...]:
    """What each of `OUTCOMES` counts for in the loss."""
    return tuple(float(getattr(training, f"ranker_{name}_weight")) for name in OUTCOMES)


def _steps(users: int, size: int, epochs: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """The users of every step: all of them once in each epoch, each time in a new order."""
    random = np.random.default_rng(seed)
    for _ in range(epochs):
        order = random.permutation(users)
        yield from (order[begin : begin + size] for begin in range(0, users, size))


def _lists(examples: RankingExamples, training: TrainingSettings) -> dict[str, npt.NDArray[Any]]:
    """What a step reads: the lists of its users alone, so that nothing keeps the others when the fit is over."""
    positions, weights = position_codes_and_weights(examples, training)
    return {
        "position": positions,
        "weight": weights,
        "outcomes": examples.outcomes,
        "numeric": examples.numeric,
        "categorical": examples.categorical,
        "taken": examples.taken,
        "present": examples.present.astype(np.float32),
    }
