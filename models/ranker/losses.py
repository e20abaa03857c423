"""What the ranker is punished for."""

from __future__ import annotations

from typing import Any, Literal

import tensorflow as tf

Tensor = Any
_NOWHERE = -1e9


class RankingLoss(tf.keras.losses.Loss):
    """Loss over whole candidate lists, per taken candidate.

    Labels are [users, candidates, 3]: taken, new to the user, present. `log_loss` judges every candidate by itself;
    `softmax` is listwise (ListNet): the taken candidates of a user against all of them. To either, `new_weight` times
    the softmax over the new candidates alone is added, so that discovery is learned beside repeats.
    """

    def __init__(self, kind: Literal["softmax", "log_loss"], new_weight: float) -> None:
        super().__init__(reduction=tf.keras.losses.Reduction.NONE, name=kind)
        self._kind = kind
        self._new_weight = new_weight

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Mean loss; `y_pred` is [users, candidates]."""
        taken, is_new, present = tf.unstack(y_true, axis=-1)
        if self._kind == "log_loss":
            losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=taken, logits=y_pred)
            of_all = tf.reduce_sum(losses * present) / tf.maximum(tf.reduce_sum(taken * present), 1.0)
        else:
            of_all = _list_loss(y_pred, taken * present, present)
        of_new = _list_loss(y_pred, taken * present * is_new, present * is_new)
        return of_all + self._new_weight * of_new


def _list_loss(scores: Tensor, wanted: Tensor, shown: Tensor) -> Tensor:
    """Mean over users of −log softmax at the wanted candidates; users without one do not count."""
    log_shares = tf.nn.log_softmax(tf.where(shown > 0, scores, _NOWHERE), axis=1)
    number = tf.reduce_sum(wanted, axis=1)
    losses = -tf.reduce_sum(log_shares * wanted, axis=1) / tf.maximum(number, 1.0)
    counted = tf.cast(number > 0, tf.float32)
    return tf.reduce_sum(losses * counted) / tf.maximum(tf.reduce_sum(counted), 1.0)
