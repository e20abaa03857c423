"""The first layer of a network over one user's candidates: the user's half of it is computed once."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from headrace.ranking_features import OF_USER

Tensor = Any


def by_halves(layer: Any, inputs: Tensor, of_user: slice = OF_USER) -> Tensor:
    """[n, size] of inputs [n, width], before the activation: what `layer`, a dense one, makes of them.

    The rows, at least one, are candidates of one user, so that they share the inputs in `of_user`. Those of the first
    row are multiplied, once, and join the bias.
    """
    kernel, bias = layer.weights
    first, end = of_user.start, of_user.stop
    # A vector: ONNX Runtime adds a bias in passing, a matrix of one row it would not.
    once = tf.reshape(tf.matmul(inputs[:1, of_user], kernel[of_user]) + bias, [kernel.shape[1]])
    of_pair = tf.concat([inputs[:, :first], inputs[:, end:]], axis=1)
    return tf.matmul(of_pair, tf.concat([kernel[:first], kernel[end:]], axis=0)) + once
