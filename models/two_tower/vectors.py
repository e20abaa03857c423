"""Vectors of all items and of given users from a trained model; the popularity prior as the last dimension."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tensorflow as tf

from headrace.features.user_tower import TowerInputs
from models.export.onnx_export import Exported
from models.two_tower.network.model import TwoTower
from models.two_tower.network.pooling import Tensor

Floats = npt.NDArray[np.float32]
_USERS_AT_ONCE = 128
_ITEMS_AT_ONCE = 16_384
"""The words of so many items are in memory at a time: about 50 MB of their vectors, and as much for other columns."""


def item_vectors(model: TwoTower, events_of_item: npt.NDArray[np.int64]) -> Floats:
    """[items + 1, embedding_size - 1]; row 0, the unknown item, is zero.

    An item without a single event (`events_of_item` [items + 1]) is the sum of its features: its id was never trained.
    """
    items = model.item_tower
    parts = []
    for start in range(0, len(items.columns), _ITEMS_AT_ONCE):
        rows = tf.range(start, min(start + _ITEMS_AT_ONCE, len(items.columns)))
        learned = tf.constant(events_of_item[start : start + _ITEMS_AT_ONCE] > 0, tf.float32)[:, None]
        vectors = items.content(rows) + tf.gather(items.ids, rows) * learned
        parts.append((vectors * tf.cast(rows > 0, tf.float32)[:, None]).numpy())
    return np.concatenate(parts)


def log_popularity(items: pa.Table) -> Floats:
    """[items]: log(distinct users + 1), the mean of both recent windows: the longer is steadier, the shorter newer."""
    windows = [np.log1p(items.column(name).to_numpy()) for name in ("trend_popularity", "popularity")]
    return np.mean(windows, axis=0).astype(np.float32)


def item_embeddings(vectors: Floats, prior: Floats) -> Floats:
    """[items, embedding_size] from the item vectors (row 0 = unknown is left out) and the prior."""
    return np.ascontiguousarray(np.concatenate([vectors[1:], prior[:, None]], axis=1), np.float32)


class UserFunction:
    """The user tower with fixed item vectors: what is exported."""

    def __init__(self, exported: Exported, table: tf.Variable) -> None:
        self.exported, self._table = exported, table
        self._call = tf.function(exported.call, input_signature=exported.signature)

    def use(self, vectors: Floats) -> None:
        """Read these item vectors from now on."""
        self._table.assign(vectors)

    def vectors(self, inputs: TowerInputs) -> Floats:
        """[users, embedding_size], a few users at a time: attention takes about a MiB for each."""
        arrays = (inputs.history_items, inputs.history_types, inputs.history_ages, inputs.profile)
        return np.concatenate(
            [
                self._call(*(array[begin : begin + _USERS_AT_ONCE] for array in arrays)).numpy()
                for begin in range(0, max(1, len(inputs.profile)), _USERS_AT_ONCE)
            ]
        )


def user_function(model: TwoTower, vectors: Floats, history_length: int, profile_keys: int) -> UserFunction:
    """The user tower over `vectors`, with the constant 1 that meets the items' prior as its last dimension."""
    table = tf.Variable(vectors, trainable=False)  # a constant would be copied into every graph that uses it
    signature = [
        tf.TensorSpec([None, history_length], tf.int32, name="history_items"),
        tf.TensorSpec([None, history_length], tf.int32, name="history_types"),
        tf.TensorSpec([None, history_length], tf.float32, name="history_ages"),
        tf.TensorSpec([None, profile_keys], tf.int32, name="profile"),
    ]

    def call(history_items: Tensor, history_types: Tensor, history_ages: Tensor, profile: Tensor) -> Tensor:
        history = tf.gather(table, history_items)
        users = model.user_tower((history, history_items, history_types, history_ages, profile))
        return tf.concat([users, tf.ones_like(users[:, :1])], axis=1, name="user_vectors")

    return UserFunction(Exported(call, signature, "user_vectors", [table, *model.user_tower.variables]), table)
