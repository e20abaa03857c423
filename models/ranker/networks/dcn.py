"""DCN-v2 (Wang et al. 2021): products of inputs up to a bounded degree, in parallel with a small network."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_recommenders as tfrs

from models.ranker.networks.model import Ranker, Tensor
from models.ranker.networks.split_first_layer import network, split_first_layer

CROSSES = 2
HIDDEN = (64, 32)


class DeepAndCross(Ranker):
    """Cross layers and a network side by side ("parallel" in the paper)."""

    def build_layers(self) -> None:
        """The crosses are of full rank: the inputs are few."""
        self.crossed = []
        for cross in range(CROSSES):
            start = tf.keras.initializers.GlorotUniform(seed=self.seed + 100 + cross)
            self.crossed.append(tfrs.layers.dcn.Cross(kernel_initializer=start))
        self.hidden = [self.dense(size, "relu") for size in HIDDEN]

    def represent(self, numeric: Tensor, categorical: Tensor, *, one_user: bool = False) -> Tensor:
        """Both sides, one after the other."""
        inputs = tf.concat([self.scaled(numeric), *self.codes(categorical)], axis=1)
        first = self.crossed[0]
        cross = inputs * split_first_layer(first, inputs) + inputs if one_user else first(inputs)
        for layer in self.crossed[1:]:
            cross = layer(inputs, cross)
        return tf.concat([cross, network(self.hidden, inputs, one_user)], axis=1)
