"""What every ranker shares: a TFRS ranking task over whole candidate lists, embeddings of the codes, and the export."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs

from headrace.features.ranking import CATEGORICAL, NUMERIC
from headrace.outcomes import OUTCOMES
from models.ranker.examples.exposure import POSITIONS
from models.ranker.networks.losses import RankingLoss, outcome_loss
from models.ranker.networks.scaling import Scaling

Tensor = Any
EMBEDDING = 8
CATEGORY_DECAY = 0.03
"""Weight of the squared category weights in the loss."""
_BIAS_SCALE = 10.0
"""Factor of the position bias: it learns faster than the weights, as it is one number, far from 0, in every list."""
_OWN = NUMERIC.index("own_count")
SIGNATURE = (
    tf.TensorSpec([None, len(NUMERIC)], tf.float32, name="numeric"),
    tf.TensorSpec([None, len(CATEGORICAL)], tf.int32, name="categorical"),
)
"""Inputs of a ranker, as in serving."""


@dataclass(frozen=True)
class RankerInputs:
    """Properties of the inputs that a ranker needs before training."""

    scaling: Scaling
    cardinalities: tuple[int, ...]
    """Number of codes of each categorical input, unknown included."""
    outcome_weights: tuple[float, ...] = (0.0,) * len(OUTCOMES)
    """Weight of each outcome's loss; that of being taken has weight 1."""


class Ranker(tfrs.Model, ABC):
    """Scores candidates; trained on whole candidate lists. Subclasses define the architecture."""

    def __init__(self, inputs: RankerInputs, loss: RankingLoss, seed: int) -> None:
        super().__init__()
        self.scaling = inputs.scaling
        self.cardinalities = inputs.cardinalities
        self.seed = seed
        start = tf.keras.initializers.RandomUniform(-0.05, 0.05, seed=seed)
        self.embeddings = [
            self.add_weight(name=f"embedding_{name}", shape=(size, EMBEDDING), initializer=start)
            for name, size in zip(CATEGORICAL, inputs.cardinalities, strict=True)
        ]
        self.ranking = tfrs.tasks.Ranking(loss=loss)
        self.outcome_weights = inputs.outcome_weights
        self.build_layers()
        self.last = self.dense(1, None)
        self.heads: Any = None
        if any(inputs.outcome_weights):
            self.heads = self.dense(len(OUTCOMES), None)
        self.position_bias = self.add_weight(name="position_bias", shape=(POSITIONS,), initializer="zeros")
        empty = tuple(tf.zeros([1, spec.shape[1]], spec.dtype) for spec in SIGNATURE)
        self(empty)  # creates the weights
        if self.heads:
            self.outcomes(*empty)

    @abstractmethod
    def build_layers(self) -> None:
        """Create the layers that `represent` uses, with `dense`."""

    @abstractmethod
    def represent(self, numeric: Tensor, categorical: Tensor, *, one_user: bool = False) -> Tensor:
        """[n, width]: inputs of the last layer, from the inputs as in serving.

        With `one_user` all rows are of one user, whose part of the first layer is computed once.
        """

    def shortcut(self, numeric: Tensor, categorical: Tensor, *, one_user: bool = False) -> Tensor:  # noqa: ARG002
        """What is added to the score past the last layer: [n], or a number."""
        return 0.0

    def memory(self) -> list[Any]:
        """Weights of single categories. They decay: what is learned of a category in one holdout is mostly seasonal,
        and only strong evidence should remain."""
        return list(self.embeddings)

    def call(self, inputs: tuple[Tensor, Tensor], one_user: bool = False) -> Tensor:
        """[n] scores of (numeric [n, numbers], categorical [n, codes]); with `one_user` of one user's candidates."""
        return self._score(self.represent(*inputs, one_user=one_user), *inputs, one_user=one_user)

    def outcomes(self, numeric: Tensor, categorical: Tensor) -> Tensor:
        """[n, len(OUTCOMES)]: log odds of each, where they are learned."""
        return self.heads(self.represent(numeric, categorical))

    def _score(self, hidden: Tensor, numeric: Tensor, categorical: Tensor, *, one_user: bool = False) -> Tensor:
        shortcut = self.shortcut(numeric, categorical, one_user=one_user)
        return self.scaling.start + tf.squeeze(self.last(hidden), 1) + shortcut

    def compute_loss(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor:  # noqa: ARG002
        """Loss of a batch of users: numeric [users, candidates, …], categorical; taken, present, weight [users,
        candidates], and those that serving does not have: position and outcomes."""
        shape = tf.shape(inputs["taken"])
        numeric = tf.reshape(inputs["numeric"], [-1, len(NUMERIC)])
        categorical = tf.reshape(inputs["categorical"], [-1, len(CATEGORICAL)])
        hidden = self.represent(numeric, categorical)
        # The position bias is learned separately and not served: else items that are usually shown first would seem to
        # be preferred (Zhao et al. 2019).
        bias = tf.concat([[0.0], _BIAS_SCALE * self.position_bias], axis=0)
        bias_of_position = tf.gather(bias, inputs["position"])
        scores = tf.reshape(self._score(hidden, numeric, categorical), shape) + bias_of_position
        is_new = tf.cast(inputs["numeric"][:, :, _OWN] <= 0, tf.float32)
        taken = tf.cast(inputs["taken"] > 0, tf.float32)
        labels = tf.stack([taken, is_new, inputs["present"], inputs["weight"]], axis=-1)
        memory = tf.add_n([tf.reduce_sum(tf.square(weights)) for weights in self.memory()])
        loss = self.ranking(labels=labels, predictions=scores) + CATEGORY_DECAY * memory
        if self.heads:
            odds = tf.reshape(self.heads(hidden), [shape[0], shape[1], len(OUTCOMES)])
            loss += outcome_loss(odds, inputs["outcomes"], inputs["present"], self.outcome_weights)
        return loss

    def scaled(self, numeric: Tensor) -> Tensor:
        """The numbers in comparable units, without outliers."""
        return tf.clip_by_value((numeric - self.scaling.mean) / self.scaling.spread, -5.0, 5.0)

    def codes(self, categorical: Tensor) -> list[Tensor]:
        """[n, EMBEDDING] of each code."""
        return [tf.gather(table, categorical[:, column]) for column, table in enumerate(self.embeddings)]

    def dense(self, size: int, activation: str | None) -> Any:
        """A layer that starts differently from the ones before it, and the same way each time."""
        start = tf.keras.initializers.GlorotUniform(seed=self.seed)
        self.seed += 1
        return tf.keras.layers.Dense(size, activation=activation, kernel_initializer=start)
