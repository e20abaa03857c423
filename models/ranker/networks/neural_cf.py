"""A small neural CF (He et al. 2017): a user's and an item's vector, their product, and a network over both.

Both vectors are computed from features instead of ids, so that new users and items have them too.
"""

from __future__ import annotations

import tensorflow as tf

from headrace.features.ranking import NUMERIC, OF_USER
from headrace.release.catalogue import ITEM_FEATURES
from models.ranker.networks.model import Ranker, Tensor
from models.ranker.networks.split_first_layer import split_first_layer

FACTORS = 32
HIDDEN = (64, 32)
_OF_ITEM = [NUMERIC.index(name) for name in ITEM_FEATURES]
_OF_OTHERS = [column for column in range(len(NUMERIC)) if column not in _OF_ITEM]
_OF_USER = slice(_OF_OTHERS.index(OF_USER.start), _OF_OTHERS.index(OF_USER.stop))


class NeuralCf(Ranker):
    """The smallest of the rankers."""

    def build_layers(self) -> None:
        """A factor layer for each of the two, and the network."""
        self.of_user = self.dense(FACTORS, None)
        self.of_item = self.dense(FACTORS, None)
        self.hidden = [self.dense(size, "relu") for size in HIDDEN]

    def represent(self, numeric: Tensor, categorical: Tensor, *, one_user: bool = False) -> Tensor:
        """Product of the factors, and the network over both."""
        scaled = self.scaled(numeric)
        others = tf.gather(scaled, _OF_OTHERS, axis=1)
        user = split_first_layer(self.of_user, others, _OF_USER) if one_user else self.of_user(others)
        item = self.of_item(tf.concat([tf.gather(scaled, _OF_ITEM, axis=1), *self.codes(categorical)], axis=1))
        deep = tf.concat([user, item], axis=1)
        for layer in self.hidden:
            deep = layer(deep)
        return tf.concat([user * item, deep], axis=1)
