"""What every ranker shares: a TFRS ranking task over whole candidate lists, embeddings of the codes, and the export."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs

from headrace.ranking_features import CATEGORICAL, NUMERIC
from models.onnx_export import Exported
from models.ranker.calibration import Platt
from models.ranker.losses import RankingLoss
from models.ranker.scaling import Scaling

Tensor = Any
EMBEDDING = 8
CATEGORY_DECAY = 0.03
"""Weight of the squared category weights in the loss."""
_OWN = NUMERIC.index("own_count")
_SIGNATURE = (
    tf.TensorSpec([None, len(NUMERIC)], tf.float32, name="numeric"),
    tf.TensorSpec([None, len(CATEGORICAL)], tf.int32, name="categorical"),
)


@dataclass(frozen=True)
class RankerInputs:
    """What a ranker must know of its inputs before it learns."""

    scaling: Scaling
    cardinalities: tuple[int, ...]
    """Number of codes of each categorical input, unknown included."""


class Ranker(tfrs.Model, ABC):
    """Scores candidates; trained on whole candidate lists. An architecture says what it makes of the inputs."""

    def __init__(self, inputs: RankerInputs, loss: RankingLoss, seed: int) -> None:
        super().__init__()
        self.scaling = inputs.scaling
        self.cardinalities = inputs.cardinalities
        self.seed = seed
        self.platt = Platt()
        start = tf.keras.initializers.RandomUniform(-0.05, 0.05, seed=seed)
        self.embeddings = [
            self.add_weight(name=f"embedding_{name}", shape=(size, EMBEDDING), initializer=start)
            for name, size in zip(CATEGORICAL, inputs.cardinalities, strict=True)
        ]
        self.ranking = tfrs.tasks.Ranking(loss=loss)
        self.build_layers()
        self.last = self.dense(1, None)
        self.score = tf.function(lambda *inputs: self(inputs), input_signature=_SIGNATURE)
        self.score(*(tf.zeros([1, spec.shape[1]], spec.dtype) for spec in _SIGNATURE))  # makes the weights

    @abstractmethod
    def build_layers(self) -> None:
        """Make the layers that `represent` uses, with `dense`."""

    @abstractmethod
    def represent(self, numeric: Tensor, categorical: Tensor) -> Tensor:
        """[n, width] of what the last layer reads, from the inputs as serving gives them."""

    def shortcut(self, numeric: Tensor, categorical: Tensor) -> Tensor:  # noqa: ARG002
        """What is added to the score past the last layer: [n], or a number."""
        return 0.0

    def memory(self) -> list[Any]:
        """Weights that belong to single categories. They decay: what a category learns in one holdout is mostly its
        season, and only strong evidence may stay."""
        return list(self.embeddings)

    def call(self, inputs: tuple[Tensor, Tensor]) -> Tensor:
        """[n] scores of (numeric [n, numbers], categorical [n, codes])."""
        numeric, categorical = inputs
        hidden = self.represent(numeric, categorical)
        return self.scaling.start + tf.squeeze(self.last(hidden), 1) + self.shortcut(numeric, categorical)

    def compute_loss(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor:  # noqa: ARG002
        """Loss of a batch of users: numeric [users, candidates, …], categorical, taken and present likewise."""
        shape = tf.shape(inputs["taken"])
        numeric = tf.reshape(inputs["numeric"], [-1, len(NUMERIC)])
        categorical = tf.reshape(inputs["categorical"], [-1, len(CATEGORICAL)])
        scores = tf.reshape(self((numeric, categorical)), shape)
        is_new = tf.cast(inputs["numeric"][:, :, _OWN] <= 0, tf.float32)
        labels = tf.stack([tf.cast(inputs["taken"] > 0, tf.float32), is_new, inputs["present"]], axis=-1)
        memory = tf.add_n([tf.reduce_sum(tf.square(weights)) for weights in self.memory()])
        return self.ranking(labels=labels, predictions=scores) + CATEGORY_DECAY * memory

    def exported(self) -> Exported:
        """What is written: `score` [n] of `numeric` and `categorical`, the log odds of being taken."""

        def log_odds(*inputs: Tensor) -> Tensor:
            return self.platt.slope * self(inputs) + self.platt.offset

        return Exported(log_odds, list(_SIGNATURE), "score", self.variables)

    def scaled(self, numeric: Tensor) -> Tensor:
        """The numbers in comparable units, without outliers."""
        return tf.clip_by_value((numeric - self.scaling.mean) / self.scaling.spread, -5.0, 5.0)

    def codes(self, categorical: Tensor) -> list[Tensor]:
        """[n, EMBEDDING] of each code."""
        return [tf.gather(table, categorical[:, place]) for place, table in enumerate(self.embeddings)]

    def dense(self, size: int, activation: str | None) -> Any:
        """A layer that starts differently from the ones before it, and the same way each time."""
        start = tf.keras.initializers.GlorotUniform(seed=self.seed)
        self.seed += 1
        return tf.keras.layers.Dense(size, activation=activation, kernel_initializer=start)
