"""Losses of the ranker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import tensorflow as tf

from headrace.outcomes import OUTCOMES

Tensor = Any
LossKind = Literal["log_loss", "pairwise", "softmax"]
_NOWHERE = -1e9


class RankingLoss(tf.keras.losses.Loss):
    """Loss over whole candidate lists, per taken candidate.

    Labels are [users, candidates, 4]: taken, new to the user, present, weight where taken. `log_loss` is pointwise:
    every candidate by itself; `pairwise` (RankNet, Burges et al. 2005) compares each taken candidate of a user with
    each other one; `softmax` is listwise (ListNet): the taken candidates of a user against all of them. To each,
    `new_weight` times the softmax over the new candidates alone is added, so that discovery is learned as well as
    repeats.
    """

    def __init__(self, kind: LossKind, new_weight: float) -> None:
        super().__init__(reduction=tf.keras.losses.Reduction.NONE, name=kind)
        self._of_all = {"log_loss": _point_loss, "pairwise": _pair_loss, "softmax": _list_loss}[kind]
        self._new_weight = new_weight

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Mean loss; `y_pred` is [users, candidates]."""
        taken, is_new, present, weight = tf.unstack(y_true, axis=-1)
        of_all = self._of_all(y_pred, taken * present, present, weight)
        return of_all + self._new_weight * _list_loss(y_pred, taken * present * is_new, present * is_new, weight)


def _point_loss(scores: Tensor, wanted: Tensor, shown: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy of all candidates, per wanted one."""
    losses = weight * tf.nn.sigmoid_cross_entropy_with_logits(labels=wanted, logits=scores)
    return tf.reduce_sum(losses * shown) / tf.maximum(tf.reduce_sum(wanted), 1.0)


def _pair_loss(scores: Tensor, wanted: Tensor, shown: Tensor, weight: Tensor) -> Tensor:
    """Mean over users of the mean log loss over their pairs of a wanted and another candidate."""
    pairs = (wanted * weight)[:, :, None] * (shown - wanted)[:, None, :]
    losses = tf.nn.softplus(scores[:, None, :] - scores[:, :, None])
    return _mean_of_users(tf.reduce_sum(losses * pairs, axis=[1, 2]), tf.reduce_sum(pairs, axis=[1, 2]))


def _list_loss(scores: Tensor, wanted: Tensor, shown: Tensor, weight: Tensor) -> Tensor:
    """Mean over users of −log softmax at the wanted candidates."""
    log_shares = tf.nn.log_softmax(tf.where(shown > 0, scores, _NOWHERE), axis=1)
    weights = wanted * weight
    return _mean_of_users(-tf.reduce_sum(log_shares * weights, axis=1), tf.reduce_sum(weights, axis=1))


def outcome_loss(odds: Tensor, outcomes: Tensor, present: Tensor, weights: Sequence[float]) -> Tensor:
    """Weighted sum of the losses of the outcomes (`OUTCOMES`), for candidates that are present.

    `odds` and `outcomes` are [users, candidates, outcomes]. Counts: cross-entropy of any at all, per candidate with
    one. Seconds: squared error of their log1p where there are any.
    """
    total = tf.constant(0.0)
    for column, (name, weight) in enumerate(zip(OUTCOMES, weights, strict=True)):
        if not weight:
            continue
        happened = tf.cast(outcomes[:, :, column] > 0, tf.float32) * present
        if name == "dwell":
            errors = tf.square(odds[:, :, column] - tf.math.log1p(outcomes[:, :, column])) * happened
        else:
            errors = tf.nn.sigmoid_cross_entropy_with_logits(labels=happened, logits=odds[:, :, column]) * present
        total += weight * tf.reduce_sum(errors) / tf.maximum(tf.reduce_sum(happened), 1.0)
    return total


def _mean_of_users(losses: Tensor, number: Tensor) -> Tensor:
    """Mean of each user's mean; users without any do not count."""
    counted = tf.cast(number > 0, tf.float32)
    return tf.reduce_sum(losses / tf.maximum(number, 1.0) * counted) / tf.maximum(tf.reduce_sum(counted), 1.0)
