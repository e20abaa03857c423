"""Trains the two towers: first up to the holdout, then over it."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf
from rich.progress import Progress

from headrace.errors import BadInputError
from headrace.features.user_tower import TowerEncoder
from headrace.settings.jobs import TrainingSettings
from models.training.checkpoints import Checkpoints
from models.training.workers import Worker
from models.two_tower.examples.parts import SequenceParts
from models.two_tower.examples.sequences import Batch, ExampleCutter, find_occasions, in_another_order
from models.two_tower.network.model import TwoTower


@dataclass
class TrainingState:
    """Progress of a phase.

    Order of the examples and ids that are left out follow from seed and step: a training that was killed and resumed
    ends with the same weights as one that ran through.
    """

    losses: list[float] = field(default_factory=list)
    """Mean loss per example of each step done."""
    examples: list[int] = field(default_factory=list)
    """Examples of each step done."""
    seconds: float = 0.0

    @property
    def steps(self) -> int:
        """Steps done."""
        return len(self.losses)


@dataclass(frozen=True)
class PhaseReport:
    """What one phase of training did."""

    name: str
    examples: int
    seconds: float
    losses: list[float]
    """Mean loss per example of each step."""
    epochs: int
    """Passes over the examples, rounded, at least one: fewer than the setting where it stopped early."""

    @property
    def examples_per_second(self) -> float:
        """Examples of all epochs over the seconds of training, input included."""
        return self.examples / max(self.seconds, 1e-9)


@dataclass(frozen=True)
class Phase:
    """A training window, in microseconds since 1970; older examples have smaller weights."""

    name: str
    begin: int
    end: int
    examples: int
    """How many there are, of all workers."""


def train_phase(
    model: TwoTower,
    cutter: ExampleCutter,
    parts: SequenceParts,
    phase: Phase,
    training: TrainingSettings,
    worker: Worker,
    progress: Progress,
    callbacks: Sequence[tf.keras.callbacks.Callback] = (),
    checkpoints: Checkpoints | None = None,
) -> PhaseReport:
    """Train on the phase's occasions in the `worker`'s parts.

    Several workers share the batch: each step adds up their gradients, and every worker makes as many steps; a worker
    with fewer examples uses some twice. With `checkpoints` a single worker resumes where an earlier run of the same
    training was killed. Raises BadInputError if there is no occasion.
    """
    if not phase.examples:
        raise BadInputError(
            f"two-tower, {phase.name}: no user has an event with history in this time",
            "Import more events, or change training.retrieval_days and training.holdout_days",
        )
    batch_size = max(1, training.retrieval_batch_size // worker.workers)
    expected = phase.examples * training.retrieval_epochs
    state = TrainingState(**checkpoints.restore(model)) if checkpoints else TrainingState()
    if state.steps:
        model.make_variables()  # there may be no step left to create them
        print(f"{phase.name}: resumes after step {state.steps} of an earlier run")
    sizes = list(state.examples)

    def batches() -> Iterator[Batch]:
        random = np.random.default_rng([training.seed, phase.end, worker.number])
        skipped = state.steps
        for _ in range(training.retrieval_epochs) if worker.workers == 1 else itertools.count():
            for part in parts.of(worker):
                if training.retrieval_reorders:
                    part = in_another_order(part, phase.end, random)
                occasions = find_occasions(part).between(phase.begin, phase.end)
                plan = cutter.plan(occasions, batch_size, random)
                for batch in cutter.batches(part, occasions, plan[skipped:], phase.end):
                    sizes.append(len(batch["target_items"]))
                    yield batch
                skipped = max(0, skipped - len(plan))

    task = progress.add_task(f"two-tower, {phase.name}", total=expected, completed=sum(sizes))
    left = batches()
    first = list(itertools.islice(left, 1))
    steps = _Steps(progress, task, training.retrieval_batch_size, state, sizes, checkpoints)
    if first:  # no batches are left where the phase had ended before the training was killed
        rest = itertools.chain(first, left)
        data = tf.data.Dataset.from_generator(
            lambda: rest, output_signature=_signature(parts.encoder, cutter)
        ).prefetch(4)
        number = None
        if worker.workers > 1:  # a worker trains on its own batches: they are neither shared nor cut
            number = math.ceil(expected / (batch_size * worker.workers))
            data = model.distribute_strategy.distribute_datasets_from_function(lambda _context, own=data: own)
        model.fit(data, epochs=1, steps_per_epoch=number, verbose=0, callbacks=[steps, *callbacks])
    if checkpoints:
        checkpoints.save(model, state.steps, asdict(state))
    progress.update(task, completed=expected)
    epochs = max(1, round(sum(state.examples) * worker.workers / phase.examples))
    return PhaseReport(phase.name, sum(state.examples), state.seconds, state.losses, epochs)


class _Steps(tf.keras.callbacks.Callback):
    """Updates the progress bar, records the loss curve and writes checkpoints."""

    def __init__(
        self,
        progress: Progress,
        task: Any,
        batch_size: int,
        state: TrainingState,
        sizes: list[int],
        checkpoints: Checkpoints | None,
    ) -> None:
        super().__init__()
        self._progress, self._task, self._batch_size = progress, task, batch_size
        self._state, self._sizes, self._checkpoints = state, sizes, checkpoints
        self._began = time.perf_counter() - state.seconds

    def on_train_batch_end(self, _batch: int, logs: dict[str, float] | None = None) -> None:
        state = self._state
        state.examples.append(self._sizes[state.steps])
        state.losses.append(float((logs or {})["loss"]) / self._batch_size)
        state.seconds = time.perf_counter() - self._began
        self._progress.advance(self._task, self._batch_size)
        if self._checkpoints and self._checkpoints.is_due():
            self._checkpoints.save(self.model, state.steps, asdict(state))


def _signature(encoder: TowerEncoder, cutter: ExampleCutter) -> dict[str, tf.TensorSpec]:
    history = {"history_items": tf.int32, "history_types": tf.int32, "history_ages": tf.float32}
    targets = {"target_items": tf.int32, "target_occasions": tf.int32, "target_weights": tf.float32}
    targets |= dict.fromkeys(cutter.occasion_columns, tf.int32)
    return {
        **{name: tf.TensorSpec((None, encoder.history_length), kind) for name, kind in history.items()},
        "profile": tf.TensorSpec((None, len(encoder.profile_keys)), tf.int32),
        **{name: tf.TensorSpec((None,), kind) for name, kind in targets.items()},
    }
