"""The two towers as a TFRS model.

Item vector = sum of the embeddings of its id, categories, brand, maker, price class and text words; user vector =
pooled vectors of the recent items plus the profile's. One more dimension, the popularity prior, is added after training
(`models.two_tower.prior`), because in-batch softmax without correction learns affinity divided by popularity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_recommenders as tfrs

Tensor = Any
"""A TensorFlow tensor; its library has no types."""
_SMALL = 0.02
"""Spread of the first vectors: with larger ones the first epoch unlearns noise."""


@dataclass(frozen=True)
class ItemColumns:
    """What the item tower reads: row 0 is the unknown item, row r + 1 the item in row r of the catalogue."""

    codes: npt.NDArray[np.int32]
    """[items + 1, columns]: code of each category-like column, 0 = unknown."""
    cardinalities: tuple[int, ...]
    """Codes of each column, the unknown one included."""
    words: npt.NDArray[np.int32]
    """[items + 1, words]: hashed words of title and text, 0 = none."""
    word_buckets: int

    def __len__(self) -> int:
        return len(self.codes)


class ItemTower(tf.keras.layers.Layer):
    """Vectors of items by row + 1."""

    def __init__(self, columns: ItemColumns, dimensions: int, id_dropout: float, seed: int) -> None:
        super().__init__(name="item_tower")
        self.columns = columns
        self.dimensions = dimensions
        self.id_dropout = id_dropout
        self.seed = seed
        self._codes = tf.Variable(columns.codes, trainable=False, name="codes")
        self._words = tf.Variable(columns.words, trainable=False, name="item_words")

    def use(self, columns: ItemColumns) -> None:
        """Read `columns` of the same items from now on, e.g. with the prices of a later day."""
        self._codes.assign(columns.codes)
        self._words.assign(columns.words)

    def build(self, _shape: Any) -> None:
        """One table per column, one for the words and one for the ids."""
        self.ids = self._table("ids", len(self.columns), 0)
        self.tables = [
            self._table(f"column_{place}", rows, place + 1) for place, rows in enumerate(self.columns.cardinalities)
        ]
        self.words = self._table("words", self.columns.word_buckets, len(self.tables) + 1)
        super().build(_shape)

    def call(self, rows: Tensor, training: bool = False, step: Tensor = 0) -> Tensor:
        """[n, dimensions] of `rows` [n]; some ids are left out while training, so that new items work without one.

        Which ones follows from the seed and the `step` of training alone.
        """
        identity = tf.gather(self.ids, rows)
        if training and self.id_dropout:
            seed = tf.stack([tf.cast(self.seed, tf.int64), tf.cast(step, tf.int64)])
            keep = tf.random.stateless_uniform([tf.shape(rows)[0], 1], seed) >= self.id_dropout
            identity *= tf.cast(keep, tf.float32)
        vectors = identity + self.content(rows)
        return vectors * tf.cast(rows > 0, tf.float32)[:, None]

    def content(self, rows: Tensor) -> Tensor:
        """[n, dimensions]: everything but the id."""
        codes = tf.gather(self._codes, rows)
        total = tf.add_n([_known(table, codes[:, place]) for place, table in enumerate(self.tables)])
        words = tf.gather(self._words, rows)
        vectors = tf.gather(self.words, words) * tf.cast(words > 0, tf.float32)[:, :, None]
        count = tf.maximum(tf.reduce_sum(tf.cast(words > 0, tf.float32), axis=1, keepdims=True), 1.0)
        return total + tf.reduce_sum(vectors, axis=1) / tf.sqrt(count)

    def _table(self, name: str, rows: int, salt: int) -> Any:
        start = tf.keras.initializers.RandomUniform(-_SMALL, _SMALL, seed=self.seed + salt)
        return self.add_weight(name=name, shape=(rows, self.dimensions), initializer=start)


class UserTower(tf.keras.layers.Layer):
    """User vectors from the item vectors of the history, newest first, and the profile's codes."""

    def __init__(self, dimensions: int, event_types: int, profile_sizes: tuple[int, ...], seed: int) -> None:
        super().__init__(name="user_tower")
        self.dimensions = dimensions
        self.event_types = event_types
        self.profile_sizes = profile_sizes
        self.seed = seed

    def build(self, _shape: Any) -> None:
        """A weight per event type, a rate of forgetting, a small mixing matrix and a table per profile key."""
        self.type_weights = self.add_weight(name="type_weights", shape=(self.event_types + 1,), initializer="zeros")
        start = tf.keras.initializers.Constant(-4.0)
        self.forgetting = self.add_weight(name="forgetting", shape=(), initializer=start)
        self.mixing = self.add_weight(name="mixing", shape=(self.dimensions, self.dimensions), initializer="zeros")
        self.profiles = [
            self.add_weight(name=f"profile_{place}", shape=(size, self.dimensions), initializer="zeros")
            for place, size in enumerate(self.profile_sizes)
        ]
        super().build(_shape)

    def call(self, inputs: tuple[Tensor, Tensor, Tensor, Tensor, Tensor]) -> Tensor:
        """[users, dimensions] of (vectors of the items, item rows + 1, types, ages in days, profile codes)."""
        vectors, items, types, ages, profile = inputs
        weights = tf.exp(tf.gather(self.type_weights, types) - tf.nn.softplus(self.forgetting) * ages)
        weights *= tf.cast(items > 0, tf.float32)
        # Divided by the root of the count: more evidence makes a longer vector, but not without bounds.
        norm = tf.sqrt(tf.maximum(tf.reduce_sum(weights, axis=1, keepdims=True), 1e-6))
        pooled = tf.reduce_sum(vectors * weights[:, :, None], axis=1) / norm
        user = pooled + tf.matmul(pooled, self.mixing)
        for place, table in enumerate(self.profiles):
            user += _known(table, profile[:, place])
        return user


class TwoTower(tfrs.Model):
    """Both towers and the in-batch sampled softmax over the items of a batch."""

    def __init__(
        self, item_tower: ItemTower, user_tower: UserTower, log_q: npt.NDArray[np.float32], correct_popularity: bool
    ) -> None:
        super().__init__()
        self.item_tower = item_tower
        self.user_tower = user_tower
        self._log_q = tf.constant(log_q)
        self._correct_popularity = correct_popularity

    def make_variables(self) -> None:
        """Make both towers' weights, as a first step of training would."""
        nothing = tf.zeros([1, 1], tf.int32)
        profile = tf.zeros([1, len(self.user_tower.profile_sizes)], tf.int32)
        vectors = tf.reshape(self.item_tower(nothing[0]), [1, 1, -1])
        self.user_tower((vectors, nothing, nothing, tf.zeros([1, 1]), profile))

    def users(self, inputs: dict[str, Tensor], unique: Tensor, place: Tensor, training: bool) -> tuple[Tensor, Tensor]:
        """User vectors, and the vectors of the `unique` items that histories (`place` [users, length]) point to."""
        item_vectors = self.item_tower(unique, training=training, step=self.optimizer.iterations)
        history = tf.gather(item_vectors, place)
        tower_inputs = (history, inputs["history_items"], inputs["history_types"], inputs["history_ages"])
        return self.user_tower((*tower_inputs, inputs["profile"])), item_vectors

    def compute_loss(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor:
        """Summed weighted softmax loss: each target against the batch's items that its own occasion does not hold.

        Items of the same occasion, and other copies of the target, are no negatives: the user did take them.
        """
        history, targets = inputs["history_items"], inputs["target_items"]
        occasion = inputs["target_occasions"]
        unique, place = tf.unique(tf.concat([tf.reshape(history, [-1]), targets], 0))
        history_place = tf.reshape(place[: tf.size(history)], tf.shape(history))
        users, item_vectors = self.users(inputs, unique, history_place, training)
        candidates, target, copies = tf.unique_with_counts(place[tf.size(history) :])
        logits = tf.matmul(users, tf.gather(item_vectors, candidates), transpose_b=True)
        if self._correct_popularity:
            logits -= tf.gather(self._log_q, tf.gather(unique, candidates))
        pairs = tf.stack([occasion, target], axis=1)
        positive = tf.gather_nd(logits, pairs)
        taken = tf.scatter_nd(pairs, tf.ones_like(positive), tf.shape(logits)) > 0
        negatives = tf.where(taken, -1e9, logits + tf.math.log(tf.cast(copies, tf.float32)))
        against = tf.gather(tf.reduce_logsumexp(negatives, axis=1), occasion)
        return tf.reduce_sum(tf.nn.softplus(against - positive) * inputs["target_weights"])


def _known(table: Tensor, codes: Tensor) -> Tensor:
    """Rows of the table; the unknown code 0 adds nothing."""
    return tf.gather(table, codes) * tf.cast(codes > 0, tf.float32)[:, None]
