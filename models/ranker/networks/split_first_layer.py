"""Networks over one user's candidates: the user's part of the first layer is computed once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from headrace.features.ranking import OF_USER
from models.ranker.networks.model import Tensor


def network(layers: Sequence[Any], inputs: Tensor, one_user: bool) -> Tensor:
    """[n, size of the last layer] of inputs [n, width]; the first layer, of relu, is split for `one_user`."""
    first, *others = layers
    state = tf.nn.relu(split_first_layer(first, inputs)) if one_user else first(inputs)
    for layer in others:
        state = layer(state)
    return state


def split_first_layer(layer: Any, inputs: Tensor, of_user: slice = OF_USER) -> Tensor:
    """[n, size] of inputs [n, width], before the activation: output of `layer`, a dense one.

    The rows, at least one, are candidates of one user, so that they share the inputs in `of_user`. Those of the first
    row are multiplied, once, and join the bias.
    """
    kernel, bias = layer.weights
    first, end = of_user.start, of_user.stop
    # A vector: ONNX Runtime fuses the addition of a bias, but not of a matrix with one row.
    once = tf.reshape(tf.matmul(inputs[:1, of_user], kernel[of_user]) + bias, [kernel.shape[1]])
    of_pair = tf.concat([inputs[:, :first], inputs[:, end:]], axis=1)
    return tf.matmul(of_pair, tf.concat([kernel[:first], kernel[end:]], axis=0)) + once
