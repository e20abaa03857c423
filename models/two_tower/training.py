"""Trains the two towers: first up to the holdout, then on over it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from rich.progress import Progress

from headrace.errors import BadInputError
from headrace.settings_groups import TrainingSettings
from models.two_tower.model import ItemColumns, ItemTower, TwoTower, UserTower
from models.two_tower.sequences import Batch, ExampleSource, Occasions


@dataclass(frozen=True)
class PhaseReport:
    """What one phase of training did."""

    name: str
    examples: int
    seconds: float
    losses: list[float]
    """Mean loss per example of each step."""

    @property
    def examples_per_second(self) -> float:
        """Examples of all epochs over the seconds of training, input included."""
        return self.examples / max(self.seconds, 1e-9)


def build_model(
    columns: ItemColumns,
    event_types: int,
    profile_sizes: tuple[int, ...],
    source: ExampleSource,
    training: TrainingSettings,
) -> TwoTower:
    """An untrained model; one dimension of `training.embedding_size` is left for the popularity prior."""
    tf.keras.utils.set_random_seed(training.seed)
    tf.config.experimental.enable_op_determinism()
    dimensions = training.embedding_size - 1
    counts = np.bincount(source.sequences.items, minlength=len(columns)) + 1.0
    model = TwoTower(
        ItemTower(columns, dimensions, training.id_dropout, training.seed),
        UserTower(dimensions, event_types, profile_sizes, training.seed),
        np.log(counts / counts.sum()).astype(np.float32),
        training.popularity_correction,
    )
    # Only the legacy optimiser updates the rows that a batch used and leaves the rest of a table alone.
    model.compile(optimizer=tf.keras.optimizers.legacy.Adagrad(training.retrieval_learning_rate))
    return model


def train_phase(
    model: TwoTower,
    source: ExampleSource,
    occasions: Occasions,
    as_of: int,
    training: TrainingSettings,
    name: str,
    progress: Progress,
) -> PhaseReport:
    """Train on `occasions`, all before `as_of` (microseconds since 1970), which the examples' weights count from.

    Raises BadInputError if there is no occasion.
    """
    if not len(occasions):
        raise BadInputError(
            f"two-tower, {name}: no user has an event with history in this time",
            "Import more events, or change training.retrieval_days and training.holdout_days",
        )
    random = np.random.default_rng([training.seed, as_of])
    examples = 0

    def batches() -> Iterator[Batch]:
        nonlocal examples
        for _ in range(training.retrieval_epochs):
            for batch in source.batches(occasions, training.retrieval_batch_size, as_of, random):
                examples += len(batch["target_items"])
                yield batch

    expected = int((occasions.end - occasions.begin).sum()) * training.retrieval_epochs
    task = progress.add_task(f"two-tower, {name}", total=expected)
    callback = _Progress(progress, task, training.retrieval_batch_size)
    started = time.perf_counter()
    data = tf.data.Dataset.from_generator(batches, output_signature=_signature(source, occasions)).prefetch(4)
    model.fit(data, epochs=1, verbose=0, callbacks=[callback])
    progress.update(task, completed=expected)
    return PhaseReport(name, examples, time.perf_counter() - started, callback.losses)


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


def _signature(source: ExampleSource, occasions: Occasions) -> dict[str, tf.TensorSpec]:
    one = next(source.batches(occasions[np.arange(1)], 1, int(occasions.times[0]), np.random.default_rng(0)))
    return {name: tf.TensorSpec((None, *array.shape[1:]), array.dtype) for name, array in one.items()}
