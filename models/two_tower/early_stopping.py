"""Early stopping of the two-tower by the holdout's recall: keeps the best weights, stops without improvement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

EVALUATIONS_PER_EPOCH = 4


class EarlyStopping(tf.keras.callbacks.Callback):
    """Early stopping by a recall that is measured every `every` steps."""

    def __init__(
        self, measure: Callable[[], float], patience: int, on_evaluation: Callable[[float, int], None] | None = None
    ) -> None:
        """`patience` evaluations without a new best end the training; 0 = none do."""
        super().__init__()
        self.every = 1
        self.recalls: list[float] = []
        self._measure, self._patience, self._on_evaluation = measure, patience, on_evaluation
        self._best: list[Any] = []

    def on_train_batch_end(self, batch: int, _logs: dict[str, float] | None = None) -> None:
        """Evaluate, keep the best weights, and stop when patience has run out."""
        if (batch + 1) % self.every:
            return
        self.recalls.append(self._measure())
        if self._on_evaluation:
            self._on_evaluation(self.recalls[-1], len(self.recalls))
        best = self.recalls.index(max(self.recalls))
        if best == len(self.recalls) - 1:
            self._best = self.model.get_weights()
        if self._patience and len(self.recalls) - 1 - best >= self._patience:
            self.model.stop_training = True

    def on_train_end(self, _logs: dict[str, float] | None = None) -> None:
        """Restore the best weights, where patience is set."""
        if self._patience and self._best:
            self.model.set_weights(self._best)
