"""The two-tower on sequences that come from no lake: trained with early stopping, and used for lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.progress import Progress

from benchmarks.sequences.data import Events
from headrace.features.user_tower import TowerEncoder
from headrace.settings.jobs import TrainingSettings
from models.baselines.interface import best_of_each_row
from models.metrics.ranking import Targets, score_lists
from models.training.workers import Worker
from models.two_tower.architecture import build_model, example_cutter
from models.two_tower.early_stopping import EarlyStopping
from models.two_tower.examples.sequences import ExampleCutter, Occasions, Sequences, find_occasions
from models.two_tower.network.model import ItemColumns
from models.two_tower.prior import WEIGHTS
from models.two_tower.training import Phase, train_phase
from models.two_tower.vectors import item_vectors, user_function

K = 20
Lists = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class OnePart:
    """All sequences as the training reads them."""

    sequences: Sequences
    encoder: TowerEncoder

    def of(self, _worker: Worker) -> Iterator[Sequences]:
        """The only part."""
        yield self.sequences


@dataclass
class Tower:
    """A two-tower of these settings, learning from `events` (ids alone: items have no metadata)."""

    events: Events
    training: TrainingSettings
    history_length: int

    def __post_init__(self) -> None:
        items = self.events.shape[1]
        counts = np.bincount(self.events.items + 1, minlength=items + 1)
        columns = ItemColumns(np.zeros((items + 1, 1), np.int32), (1,), np.zeros((items + 1, 1), np.int32), 1)
        self._counts = counts
        self._model = build_model(columns, 1, (), self.history_length, counts, self.training)

    @cached_property
    def _asked(self) -> tuple[Any, ...]:
        """The user tower's inputs of everybody after their last event."""
        sequences = self.events.sequences()
        ends = sequences.starts[1:]
        users = np.arange(len(ends))
        batch = ExampleCutter(self.history_length, 1.0, 1.0).history(sequences, Occasions(ends, ends, users, ends))
        return tuple(batch[name] for name in ("history_items", "history_types", "history_ages", "profile"))

    def learn(
        self,
        epochs: int,
        targets: Targets | None = None,
        patience: int = 0,
        on_evaluation: Callable[[float, int], None] | None = None,
    ) -> list[float]:
        """Train; with `targets` of everybody nDCG@20 is measured after each epoch, and the best weights are kept.

        `on_evaluation` gets what was measured, and after how many epochs.
        """
        training = self.training.model_copy(update={"retrieval_epochs": epochs})
        sequences = self.events.sequences()
        encoder = TowerEncoder({}, {"event_types": []}, self.history_length)
        examples, end = len(find_occasions(sequences)), int(self.events.times.max()) + 1
        cutter = example_cutter(training, self.history_length)
        early_stopping = (
            EarlyStopping(lambda: max(self._ndcgs(targets).values()), patience, on_evaluation) if targets else None
        )
        if early_stopping:
            steps = cutter.plan(find_occasions(sequences), training.retrieval_batch_size, np.random.default_rng(0))
            early_stopping.every = len(steps)
        phase, parts = Phase("sequences", 0, end, examples), OnePart(sequences, encoder)
        callbacks = [early_stopping] if early_stopping else []
        train_phase(self._model, cutter, parts, phase, training, Worker(), Progress(disable=True), callbacks)
        return early_stopping.recalls if early_stopping else []

    def best_prior(self, targets: Targets) -> float:
        """The weight of the popularity prior with the best nDCG@20 of `targets`."""
        ndcgs = self._ndcgs(targets)
        return max(ndcgs, key=lambda weight: ndcgs[weight])

    def lists(self, weight: float, k: int = K) -> Lists:
        """[users, k] best items that the user did not take, by inner product and the prior of that weight."""
        return self._lists(self._affinity(), weight, k)

    def _ndcgs(self, targets: Targets) -> dict[float, float]:
        affinity = self._affinity()
        return {
            weight: float(score_lists(self._lists(affinity, weight, K), targets, K).ndcg.mean()) for weight in WEIGHTS
        }

    def _affinity(self) -> Floats:
        vectors = item_vectors(self._model, self._counts)
        function = user_function(self._model, vectors, self.history_length, 0)
        users = np.asarray(function.exported.call(*self._asked), np.float32)[:, :-1]
        affinity: Floats = users @ vectors[1:].T
        affinity[self.events.users, self.events.items] = -np.inf
        return affinity

    def _lists(self, affinity: Floats, weight: float, k: int) -> Lists:
        prior = np.log1p(self._counts[1:]).astype(np.float32)
        return best_of_each_row(affinity + np.float32(weight) * prior, k)
