"""The two towers as a TFRS model.

Item vector = sum of the embeddings of its id, categories, brand, maker, price class and text words; the user vector is
made of the recent items' (`pooling`, `attention`). One more dimension, the popularity
prior, is added after training (`models.two_tower.prior`): in-batch softmax without correction learns affinity
divided by popularity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_recommenders as tfrs

from models.two_tower.network.negatives import Negatives
from models.two_tower.network.pooling import Tensor, UserTower

_NEVER = -1e9
"""Logit of items that are not negatives."""
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
        self._codes = tf.Variable(_in_one_table(columns), trainable=False, name="codes")
        self._words = tf.Variable(columns.words, trainable=False, name="item_words")

    def use(self, columns: ItemColumns) -> None:
        """Read `columns` of the same items from now on, e.g. with the prices of a later day."""
        self._codes.assign(_in_one_table(columns))
        self._words.assign(columns.words)

    def build(self, _shape: Any) -> None:
        """One table for the codes of all columns, one for the words and one for the ids."""
        sizes = self.columns.cardinalities
        self.ids = self._table("ids", self._start(len(self.columns), 0))
        known = [self._start(rows, column)[1:] for column, rows in enumerate(sizes, start=1)]
        self.codes = self._table("codes", tf.concat([tf.zeros([1, self.dimensions]), *known], axis=0))
        self.words = self._table("words", self._start(self.columns.word_buckets, len(sizes) + 1))
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
        """[n, dimensions]: without the id's vector."""
        words = tf.gather(self._words, rows)
        count = tf.maximum(tf.reduce_sum(tf.cast(words > 0, tf.float32), axis=1, keepdims=True), 1.0)
        return _sums(self.codes, tf.gather(self._codes, rows)) + _sums(self.words, words) / tf.sqrt(count)

    def _start(self, rows: int, salt: int) -> Tensor:
        return tf.keras.initializers.RandomUniform(-_SMALL, _SMALL, seed=self.seed + salt)((rows, self.dimensions))

    def _table(self, name: str, start: Tensor) -> Any:
        return self.add_weight(name=name, shape=start.shape, initializer=lambda *_, **__: start)


class TwoTower(tfrs.Model):
    """Both towers, and the softmax over the items of a batch or of the whole catalogue."""

    def __init__(
        self,
        item_tower: ItemTower,
        user_tower: UserTower,
        events: npt.NDArray[np.int64],
        negatives: Negatives,
    ) -> None:
        """`events` as for `use_counts`."""
        super().__init__()
        self.item_tower = item_tower
        self.user_tower = user_tower
        self._log_q = tf.Variable(tf.zeros(len(events)), trainable=False, name="log_q")
        self._only_met = tf.Variable(tf.zeros(len(events)), trainable=False, name="only_met")
        self.use_counts(events)
        self._negatives = negatives

    def use_counts(self, events: npt.NDArray[np.int64]) -> None:
        """From now on, `events` [items + 1] is how often each item is in the training data.

        Items with 0 are not negatives of the whole catalogue.
        """
        counts = events + 1.0
        self._log_q.assign(np.log(counts / counts.sum()).astype(np.float32))
        met = (events > 0) & (np.arange(len(events)) > 0)
        self._only_met.assign(np.where(met, 0.0, _NEVER).astype(np.float32))

    def make_variables(self) -> None:
        """Create both towers' weights, as a first step of training would."""
        nothing = tf.zeros([1, 1], tf.int32)
        profile = tf.zeros([1, len(self.user_tower.profile_sizes)], tf.int32)
        vectors = tf.reshape(self.item_tower(nothing[0]), [1, 1, -1])
        self.user_tower((vectors, nothing, nothing, tf.zeros([1, 1]), profile))

    def users(self, inputs: dict[str, Tensor], unique: Tensor, index: Tensor, training: bool) -> tuple[Tensor, Tensor]:
        """User vectors, and the vectors of the `unique` items that histories (`index` [users, length]) point to."""
        step = self.optimizer.iterations
        item_vectors = self.item_tower(unique, training=training, step=step)
        history = tf.gather(item_vectors, index)
        tower_inputs = (history, inputs["history_items"], inputs["history_types"], inputs["history_ages"])
        of_occasions: dict[str, Any] = {}
        if "occasion_windows" in inputs:
            occasions = (inputs["occasion_windows"], inputs["occasion_positions"])
            of_occasions = {"occasions": occasions, "training": training, "step": step}
        return self.user_tower((*tower_inputs, inputs["profile"]), **of_occasions), item_vectors

    def compute_loss(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor:
        """Summed weighted softmax loss: each target against the batch's items that its own occasion does not hold.

        Items of the same occasion, and other copies of the target, are not negatives: the user did take them.
        """
        history, targets = inputs["history_items"], inputs["target_items"]
        occasion = inputs["target_occasions"]
        compared = self._negatives
        if compared.whole_catalogue:
            unique, history_index = tf.range(len(self.item_tower.columns)), history
            candidates, target, offsets = unique, targets, self._only_met
        else:
            unique, index = tf.unique(tf.concat([tf.reshape(history, [-1]), targets, self._sampled()], 0))
            history_index = tf.reshape(index[: tf.size(history)], tf.shape(history))
            candidates, met, copies = tf.unique_with_counts(index[tf.size(history) :])
            target, offsets = met[: tf.size(targets)], tf.math.log(tf.cast(copies, tf.float32))
        users, item_vectors = self.users(inputs, unique, history_index, training)
        logits = tf.matmul(users, tf.gather(item_vectors, candidates), transpose_b=True) / compared.temperature
        if compared.correct_popularity and not compared.whole_catalogue:
            logits -= tf.gather(self._log_q, tf.gather(unique, candidates))
        pairs = tf.stack([occasion, target], axis=1)
        positive = tf.gather_nd(logits, pairs)
        taken = tf.scatter_nd(pairs, tf.ones_like(positive), tf.shape(logits)) > 0
        if compared.whole_catalogue and not compared.own:
            taken |= _own(inputs, tf.shape(logits))
        negatives = tf.where(taken, _NEVER, logits + offsets)
        if compared.hardest:
            negatives = tf.math.top_k(negatives, tf.minimum(compared.hardest, tf.shape(negatives)[1]), sorted=False)[0]
        against = tf.gather(tf.reduce_logsumexp(negatives, axis=1), occasion)
        return tf.reduce_sum(tf.nn.softplus(against - positive) * inputs["target_weights"])

    def _sampled(self) -> Tensor:
        """[sampled] rows of the catalogue, which follow from the seed and the step of training alone."""
        seed = tf.stack([tf.cast(self.item_tower.seed + 1, tf.int64), tf.cast(self.optimizer.iterations, tf.int64)])
        items = len(self.item_tower.columns)
        return tf.random.stateless_uniform([self._negatives.sampled], seed, 1, max(items, 2), tf.int32)


def _own(inputs: dict[str, Tensor], shape: Tensor) -> Tensor:
    """[occasions, items + 1]: whether the item is in the history that the occasion has."""
    history = inputs["history_items"]
    if "occasion_windows" in inputs:
        before = tf.range(tf.shape(history)[1])[None, :] >= inputs["occasion_positions"][:, None]
        history = tf.gather(history, inputs["occasion_windows"]) * tf.cast(before, tf.int32)
    occasion = tf.repeat(tf.range(shape[0]), tf.shape(history)[1])
    pairs = tf.stack([occasion, tf.reshape(history, [-1])], axis=1)
    return tf.scatter_nd(pairs, tf.ones_like(pairs[:, 0], tf.float32), shape) > 0


def _in_one_table(columns: ItemColumns) -> npt.NDArray[np.int32]:
    """[items + 1, columns]: the codes as rows of one table that holds all columns' known ones, 0 = unknown."""
    sizes = np.array(columns.cardinalities, np.int32) - 1
    return np.where(columns.codes > 0, columns.codes + np.cumsum(sizes) - sizes, 0).astype(np.int32)


def _sums(table: Tensor, rows: Tensor) -> Tensor:
    """[n, dimensions] sums of the table's rows that are named in `rows` [n, names]; 0 names none.

    A row that a batch names a thousand times is read once, and its gradient is summed before it reaches the table.
    """
    index = tf.where(rows > 0)
    used, number = tf.unique(tf.gather_nd(rows, index))
    return tf.sparse.segment_sum(tf.gather(table, used), number, index[:, 0], num_segments=tf.shape(rows)[0])
