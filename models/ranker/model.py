"""Wide & Deep (Cheng et al. 2016) over the candidate features, as a TFRS model.

Wide: one weight per class of each number and per cross of category with own history and with sources. Deep: a small
network over the normalised numbers and embeddings of the categorical codes. Normalisation is part of the graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_recommenders as tfrs

from headrace.ranking_features import CATEGORICAL, NUMERIC
from models.onnx_export import Exported
from models.ranker.losses import RankingLoss

Tensor = Any
CLASSES = 16
HIDDEN = (128, 64)
EMBEDDING = 8
CATEGORY_DECAY = 0.03
"""Weight of the squared category weights in the loss."""
SOURCE_PLACES = [place for place, name in enumerate(NUMERIC) if name.startswith("from_")]
_OWN = NUMERIC.index("own_count")
_OWN_STEPS = (0.5, 0.9, 1.3, 1.8, 2.4)
"""Steps of log1p(occasions): never, 1, 2, 3 to 4, 5 to 9, 10 and more."""


@dataclass(frozen=True)
class Scaling:
    """How numbers become comparable; measured on the training users."""

    mean: npt.NDArray[np.float32]
    spread: npt.NDArray[np.float32]
    steps: npt.NDArray[np.float32]
    """[numbers, CLASSES - 1]: ascending bounds of the classes, as equally full as the values allow."""
    start: float
    """Score that learning starts from: the log odds of being taken."""

    @classmethod
    def of(cls, numeric: npt.NDArray[np.float32], share_taken: float) -> Scaling:
        """From [candidates, numbers] and the share of the candidates that were taken."""
        share = min(max(share_taken, 1e-4), 1 - 1e-4)
        steps = np.quantile(numeric, np.linspace(0, 1, CLASSES + 1)[1:-1], axis=0).T
        return cls(
            numeric.mean(axis=0, dtype=np.float64).astype(np.float32),
            np.maximum(numeric.std(axis=0, dtype=np.float64), 1e-3).astype(np.float32),
            np.ascontiguousarray(steps, np.float32),
            float(np.log(share / (1 - share))),
        )


class WideAndDeep(tfrs.Model):
    """Scores candidates; trained on whole candidate lists."""

    def __init__(self, scaling: Scaling, cardinalities: tuple[int, ...], loss: RankingLoss, seed: int) -> None:
        super().__init__()
        self._scaling = scaling
        self._loss = loss
        self._cardinality = cardinalities[0]
        crosses = self._cardinality * (len(_OWN_STEPS) + 1 + 2 ** len(SOURCE_PLACES))
        self.wide = self._weights("wide", (len(NUMERIC) * (CLASSES - 1), 1))
        self.crosses = self._weights("crosses", (crosses,))
        start = tf.keras.initializers.RandomUniform(-0.05, 0.05, seed=seed)
        self.embeddings = [
            self.add_weight(name=f"embedding_{name}", shape=(size, EMBEDDING), initializer=start)
            for name, size in zip(CATEGORICAL, cardinalities, strict=True)
        ]
        self.hidden = [self._dense(size, "relu", seed + place) for place, size in enumerate(HIDDEN)]
        self.last = self._dense(1, None, seed + len(HIDDEN))
        self.ranking = tfrs.tasks.Ranking(loss=loss)

    def call(self, inputs: tuple[Tensor, Tensor]) -> Tensor:
        """[n] scores of (numeric [n, numbers], categorical [n, codes])."""
        numeric, categorical = inputs
        scaled = tf.clip_by_value((numeric - self._scaling.mean) / self._scaling.spread, -5.0, 5.0)
        codes = [tf.gather(table, categorical[:, place]) for place, table in enumerate(self.embeddings)]
        deep = tf.concat([scaled, *codes], axis=1)
        for layer in self.hidden:
            deep = layer(deep)
        return self._scaling.start + tf.squeeze(self.last(deep), 1) + self._wide_score(numeric, categorical)

    def compute_loss(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor:  # noqa: ARG002
        """Loss of a batch of users: numeric [users, candidates, …], categorical, taken and present likewise."""
        shape = tf.shape(inputs["taken"])
        numeric = tf.reshape(inputs["numeric"], [-1, len(NUMERIC)])
        categorical = tf.reshape(inputs["categorical"], [-1, len(CATEGORICAL)])
        scores = tf.reshape(self((numeric, categorical)), shape)
        is_new = tf.cast(inputs["numeric"][:, :, _OWN] <= 0, tf.float32)
        labels = tf.stack([tf.cast(inputs["taken"] > 0, tf.float32), is_new, inputs["present"]], axis=-1)
        # What a category or its crosses learn in one holdout is mostly its season: only strong evidence may stay.
        memory = tf.add_n([tf.reduce_sum(tf.square(weights)) for weights in (self.crosses, *self.embeddings)])
        return self.ranking(labels=labels, predictions=scores) + CATEGORY_DECAY * memory

    def exported(self) -> Exported:
        """What is written: `score` [n] of `numeric` and `categorical`."""
        signature = [
            tf.TensorSpec([None, len(NUMERIC)], tf.float32, name="numeric"),
            tf.TensorSpec([None, len(CATEGORICAL)], tf.int32, name="categorical"),
        ]
        return Exported(lambda numeric, categorical: self((numeric, categorical)), signature, "score", self.variables)

    def _wide_score(self, numeric: Tensor, categorical: Tensor) -> Tensor:
        # A weight for every step that a value has passed: their sum is the weight of its class.
        passed = tf.cast(numeric[:, :, None] > self._scaling.steps, tf.float32)
        linear = tf.matmul(tf.reshape(passed, [-1, self.wide.shape[0]]), self.wide)[:, 0]
        category = categorical[:, 0]
        own = tf.reduce_sum(tf.cast(numeric[:, _OWN, None] > tf.constant(_OWN_STEPS), tf.int32), axis=1)
        bits = tf.cast(tf.gather(numeric, SOURCE_PLACES, axis=1) > 0, tf.int32)
        sources = tf.reduce_sum(bits * tf.constant([2**place for place in range(len(SOURCE_PLACES))]), axis=1)
        first = own * self._cardinality + category
        second = (len(_OWN_STEPS) + 1 + sources) * self._cardinality + category
        return linear + tf.gather(self.crosses, first) + tf.gather(self.crosses, second)

    def _weights(self, name: str, shape: tuple[int, ...]) -> Any:
        return self.add_weight(name=name, shape=shape, initializer="zeros")

    def _dense(self, size: int, activation: str | None, seed: int) -> Any:
        start = tf.keras.initializers.GlorotUniform(seed=seed)
        return tf.keras.layers.Dense(size, activation=activation, kernel_initializer=start)
