"""Wide & Deep (Cheng et al. 2016).

Wide: one weight per class of each number and per cross of category with own history and with sources. Deep: a small
network over the normalised numbers and embeddings of the categorical codes.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from headrace.features.ranking import NUMERIC, OF_USER
from models.ranker.networks.model import Ranker, Tensor
from models.ranker.networks.scaling import CLASSES
from models.ranker.networks.split_first_layer import network

HIDDEN = (128, 64)
SOURCE_COLUMNS = [column for column, name in enumerate(NUMERIC) if name.startswith("from_")]
_OF_PAIR = (slice(OF_USER.start), slice(OF_USER.stop, None))
_OWN = NUMERIC.index("own_count")
OWN_STEPS = (0.5, 0.9, 1.3, 1.8, 2.4)
"""Steps of log1p(occasions): never, 1, 2, 3 to 4, 5 to 9, 10 and more."""


class WideAndDeep(Ranker):
    """The wide part memorises combinations that the deep one would smooth away."""

    def build_layers(self) -> None:
        """Both parts."""
        crosses = self.cardinalities[0] * (len(OWN_STEPS) + 1 + 2 ** len(SOURCE_COLUMNS))
        self.wide = self.add_weight(name="wide", shape=(len(NUMERIC), CLASSES - 1), initializer="zeros")
        self.crosses = self.add_weight(name="crosses", shape=(crosses,), initializer="zeros")
        self.hidden = [self.dense(size, "relu") for size in HIDDEN]

    def represent(self, numeric: Tensor, categorical: Tensor, *, one_user: bool = False) -> Tensor:
        """The deep part."""
        inputs = tf.concat([self.scaled(numeric), *self.codes(categorical)], axis=1)
        return network(self.hidden, inputs, one_user)

    def shortcut(self, numeric: Tensor, categorical: Tensor, *, one_user: bool = False) -> Tensor:
        """The wide part."""
        # Candidates last: comparisons along the longest side are a third faster.
        numbers = tf.transpose(numeric)
        if one_user:
            linear = self._linear(numbers[:, :1], OF_USER) + sum(self._linear(numbers, columns) for columns in _OF_PAIR)
        else:
            linear = self._linear(numbers, slice(None))
        category = categorical[:, 0]
        own = tf.reduce_sum(tf.cast(numbers[_OWN] > tf.constant(OWN_STEPS)[:, None], tf.int32), axis=0)
        bits = tf.cast(tf.gather(numbers, SOURCE_COLUMNS) > 0, tf.int32)
        sources = tf.reduce_sum(bits * tf.constant([[2**bit] for bit in range(len(SOURCE_COLUMNS))]), axis=0)
        first = own * self.cardinalities[0] + category
        second = (len(OWN_STEPS) + 1 + sources) * self.cardinalities[0] + category
        return linear + tf.gather(self.crosses, first) + tf.gather(self.crosses, second)

    def _linear(self, numbers: Tensor, columns: slice) -> Tensor:
        """[n]: the weights of the classes of those numbers of [len(NUMERIC), n]."""
        # A weight for every step that a value has passed: their sum is the weight of its class.
        passed = tf.cast(numbers[columns, None, :] > self.scaling.steps[columns, :, None], tf.float32)
        weights = tf.reshape(self.wide[columns], [-1, 1])
        return tf.matmul(tf.reshape(passed, [weights.shape[0], -1]), weights, transpose_a=True)[:, 0]

    def memory(self) -> list[Any]:
        """The crosses too are of single categories."""
        return [self.crosses, *self.embeddings]
