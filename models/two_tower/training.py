"""Trains the two towers: first up to the holdout, then on over it."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from rich.progress import Progress

from headrace.errors import BadInputError
from headrace.settings_groups import TrainingSettings
from headrace.user_tower import TowerEncoder
from models.two_tower.model import ItemColumns, ItemTower, TwoTower, UserTower
from models.two_tower.parts import SequenceParts
from models.two_tower.sequences import Batch, ExampleCutter, find_occasions
from models.workers import Worker


@dataclass(frozen=True)
class PhaseReport:
    """What one phase of training did."""

    name: str
    examples: int
    seconds: float
    losses: list[float]
    """Mean loss per example of each step."""
    epochs: int
    """Passes over the examples, rounded, at least one: fewer than asked for where it stopped early."""

    @property
    def examples_per_second(self) -> float:
        """Examples of all epochs over the seconds of training, input included."""
        return self.examples / max(self.seconds, 1e-9)


def build_model(
    columns: ItemColumns,
    event_types: int,
    profile_sizes: tuple[int, ...],
    events: npt.NDArray[np.int64],
    training: TrainingSettings,
) -> TwoTower:
    """An untrained model; one dimension of `training.embedding_size` is left for the popularity prior.

    `events` [items + 1] is how often training will meet each item. Call it in the scope of the workers' strategy.
    """
    tf.keras.utils.set_random_seed(training.seed)
    tf.config.experimental.enable_op_determinism()
    dimensions = training.embedding_size - 1
    counts = events + 1.0
    model = TwoTower(
        ItemTower(columns, dimensions, training.id_dropout, training.seed),
        UserTower(dimensions, event_types, profile_sizes, training.seed),
        np.log(counts / counts.sum()).astype(np.float32),
        training.popularity_correction,
    )
    # Only the legacy optimiser updates the rows that a batch used and leaves the rest of a table alone.
    model.compile(optimizer=tf.keras.optimizers.legacy.Adagrad(training.retrieval_learning_rate))
    return model


@dataclass(frozen=True)
class Phase:
    """A stretch of time to learn from, in microseconds since 1970; examples weigh less the older they are."""

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
) -> PhaseReport:
    """Train on the phase's occasions in the `worker`'s parts.

    Several workers share the batch: each step adds up their gradients, and every worker makes as many steps; who has
    fewer examples takes some twice. Raises BadInputError if there is no occasion.
    """
    if not phase.examples:
        raise BadInputError(
            f"two-tower, {phase.name}: no user has an event with history in this time",
            "Import more events, or change training.retrieval_days and training.holdout_days",
        )
    batch_size = max(1, training.retrieval_batch_size // worker.workers)
    expected = phase.examples * training.retrieval_epochs
    task = progress.add_task(f"two-tower, {phase.name}", total=expected)
    callback = _Progress(progress, task, training.retrieval_batch_size)
    examples = 0

    def batches() -> Iterator[Batch]:
        nonlocal examples
        random = np.random.default_rng([training.seed, phase.end, worker.number])
        for _ in range(training.retrieval_epochs) if worker.workers == 1 else itertools.count():
            for part in parts.of(worker):
                occasions = find_occasions(part).between(phase.begin, phase.end)
                for batch in cutter.batches(part, occasions, batch_size, phase.end, random):
                    examples += len(batch["target_items"])
                    yield batch

    started = time.perf_counter()
    data = tf.data.Dataset.from_generator(batches, output_signature=_signature(parts.encoder)).prefetch(4)
    steps = None
    if worker.workers > 1:  # the worker's own batches are what it trains on: they are neither shared nor cut
        steps = math.ceil(expected / (batch_size * worker.workers))
        data = model.distribute_strategy.distribute_datasets_from_function(lambda _context, own=data: own)
    model.fit(data, epochs=1, steps_per_epoch=steps, verbose=0, callbacks=[callback, *callbacks])
    progress.update(task, completed=expected)
    epochs = max(1, round(len(callback.losses) * training.retrieval_batch_size / phase.examples))
    return PhaseReport(phase.name, examples, time.perf_counter() - started, callback.losses, epochs)


class _Progress(tf.keras.callbacks.Callback):
    """Moves the bar and keeps the loss curve."""

    def __init__(self, progress: Progress, task: Any, batch_size: int) -> None:
        super().__init__()
        self.losses: list[float] = []
        self._progress, self._task, self._batch_size = progress, task, batch_size
        self._total = 0.0

    def on_train_batch_end(self, _batch: int, logs: dict[str, float] | None = None) -> None:
        self.losses.append(float((logs or {})["loss"]) / self._batch_size)
        self._progress.advance(self._task, self._batch_size)


def _signature(encoder: TowerEncoder) -> dict[str, tf.TensorSpec]:
    history = {"history_items": tf.int32, "history_types": tf.int32, "history_ages": tf.float32}
    targets = {"target_items": tf.int32, "target_occasions": tf.int32, "target_weights": tf.float32}
    return {
        **{name: tf.TensorSpec((None, encoder.history_length), kind) for name, kind in history.items()},
        "profile": tf.TensorSpec((None, len(encoder.profile_keys)), tf.int32),
        **{name: tf.TensorSpec((None,), kind) for name, kind in targets.items()},
    }
