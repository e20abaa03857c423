"""The sequence-aware user tower: causal self-attention over the history, for data whose order is informative.

As SASRec (Kang, McAuley 2018) it computes a vector at every position of a sequence, from that event and older ones
only, so that one pass over a sequence trains the next-item prediction at each. Unlike there, nothing depends on where a
window of events starts: attention knows how many events and how much time are between two (as in HSTU, Zhai et al.
2024), so that the vector trained at a position is the one that is served for that history.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from models.two_tower.network.pooling import History, Tensor, UserTower

_SCALES_DAYS = np.array([1 / 1440, 1 / 24, 1.0, 7.0, 56.0], np.float32)
"""Nearness in time is exp(−gap / scale) at each: a minute, an hour, a day, a week, two months."""
Occasions = tuple[Tensor, Tensor]
"""[occasions] each: the history that one is in, and its position there, that of the newest event before it."""
_NEVER = -1e9
_LEAST_VARIANCE = 1e-5
"""A vector with a smaller norm counts as noise: an item that was not trained."""


@dataclass(frozen=True)
class AttentionShape:
    """How large the tower is."""

    length: int
    """Events of a history."""
    layers: int
    heads: int
    dropout: float
    """Share of a layer's results that is left out in a step of training."""


@dataclass(frozen=True)
class _Block:
    """Weights of one layer: attention, and a hidden layer for every event by itself."""

    query: Tensor
    key: Tensor
    value: Tensor
    mixture: Tensor
    distance: Tensor
    """[length, heads]: added to attention by the number of events between two."""
    nearness: Tensor
    """[scales, heads]: the same by the time between them."""
    hidden: Tensor
    hidden_bias: Tensor
    out: Tensor
    out_bias: Tensor
    norms: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]


class AttentionTower(UserTower):
    """User vectors from the order of the history, its event types and its gaps of time."""

    def __init__(
        self,
        dimensions: int,
        event_types: int,
        profile_sizes: tuple[int, ...],
        seed: int,
        shape: AttentionShape,
    ) -> None:
        super().__init__(dimensions, event_types, profile_sizes, seed)
        self.shape = shape
        self._head = -(-dimensions // shape.heads)

    def build(self, _shape: Any) -> None:
        """A vector per event type, the blocks, and the norms of input and output."""
        size = self.dimensions
        self.types = self.add_weight(name="types", shape=(self.event_types + 1, size), initializer="zeros")
        self.blocks = [self._block(number) for number in range(self.shape.layers)]
        self.before, self.after = self._norm("before"), self._norm("after")
        super().build(_shape)

    def call(
        self, inputs: History, occasions: Occasions | None = None, training: bool = False, step: Tensor = 0
    ) -> Tensor:
        """[users, dimensions]: at the newest known event of each history, or at the positions of the `occasions`, whose
        profiles are then passed.

        What is left out while training follows from the seed and the `step` alone.
        """
        _, items, _, _, profile = inputs
        states = self.states(inputs, training, step)
        if occasions is None:
            known = tf.cast(items > 0, tf.float32)
            newest = known * tf.cast(tf.cumsum(known, axis=1) < 1.5, tf.float32)
            return self.with_profile(tf.reduce_sum(states * newest[:, :, None], axis=1), profile)
        windows, positions = occasions
        return self.with_profile(tf.gather_nd(states, tf.stack([windows, positions], axis=1)), profile)

    def states(self, inputs: History, training: bool = False, step: Tensor = 0) -> Tensor:
        """[n, length, dimensions]: the vector at every event, of it and older ones; 0 at unknown items."""
        vectors, items, types, ages, _ = inputs
        known = tf.cast(items > 0, tf.float32)
        positions = np.arange(items.shape[1])
        events_between = positions[None, :] - positions[:, None]  # newest first: older events have a larger position
        older = tf.constant((events_between >= 0).astype(np.float32))
        allowed = known[:, None, None, :] * older
        gaps = tf.maximum(ages[:, None, :] - ages[:, :, None], 0.0)
        nearness = tf.exp(-gaps[:, :, :, None] / _SCALES_DAYS)
        state = _normed(vectors + tf.gather(self.types, types), self.before)
        for number, block in enumerate(self.blocks):
            near = tf.gather(block.distance, np.maximum(events_between, 0)) + tf.tensordot(nearness, block.nearness, 1)
            attended = self._attended(block, _normed(state, block.norms[0]), tf.transpose(near, [0, 3, 1, 2]), allowed)
            state += self._dropped(attended, 2 * number, training, step)
            hidden = tf.nn.relu(_times(_normed(state, block.norms[1]), block.hidden) + block.hidden_bias)
            state += self._dropped(_times(hidden, block.out) + block.out_bias, 2 * number + 1, training, step)
        return _normed(state, self.after) * known[:, :, None]

    def _attended(self, block: _Block, state: Tensor, near: Tensor, allowed: Tensor) -> Tensor:
        """[n, length, dimensions]: of each event, what it reads of the `allowed` ones [n, 1, length, length]."""
        length, heads = state.shape[1], self.shape.heads
        query, key, value = (
            tf.transpose(tf.reshape(_times(state, matrix), [-1, length, heads, self._head]), [0, 2, 1, 3])
            for matrix in (block.query, block.key, block.value)
        )
        logits = tf.matmul(query, key, transpose_b=True) / self._head**0.5 + near
        # Multiplied as well: where no event is allowed, softmax would spread over all, later ones included.
        weights = tf.nn.softmax(tf.where(allowed > 0, logits, _NEVER)) * allowed
        mixed = tf.transpose(tf.matmul(weights, value), [0, 2, 1, 3])
        return _times(tf.reshape(mixed, [-1, length, heads * self._head]), block.mixture)

    def _dropped(self, state: Tensor, layer: int, training: bool, step: Tensor) -> Tensor:
        if not training or not self.shape.dropout:
            return state
        seed = tf.stack([tf.constant(self.seed * 100 + layer, tf.int64), tf.cast(step, tf.int64)])
        kept = tf.random.stateless_uniform(tf.shape(state), seed) >= self.shape.dropout
        return state * tf.cast(kept, tf.float32) / (1.0 - self.shape.dropout)

    def _block(self, number: int) -> _Block:
        size, wide, shape = self.dimensions, self.shape.heads * self._head, self.shape
        query, key, value = (self._matrix(f"{name}_{number}", size, wide) for name in ("query", "key", "value"))
        return _Block(
            query=query,
            key=key,
            value=value,
            mixture=self._matrix(f"mixture_{number}", wide, size),
            distance=self._zeros(f"distance_{number}", shape.length, shape.heads),
            nearness=self._zeros(f"nearness_{number}", len(_SCALES_DAYS), shape.heads),
            hidden=self._matrix(f"hidden_{number}", size, 2 * size),
            hidden_bias=self._zeros(f"hidden_bias_{number}", 2 * size),
            out=self._matrix(f"out_{number}", 2 * size, size),
            out_bias=self._zeros(f"out_bias_{number}", size),
            norms=(self._norm(f"attention_norm_{number}"), self._norm(f"hidden_norm_{number}")),
        )

    def _norm(self, name: str) -> tuple[Tensor, Tensor]:
        gain = self.add_weight(name=f"{name}_gain", shape=(self.dimensions,), initializer="ones")
        return gain, self._zeros(f"{name}_offset", self.dimensions)

    def _matrix(self, name: str, rows: int, columns: int) -> Tensor:
        start = tf.keras.initializers.GlorotUniform(seed=self.seed + len(self.weights))
        return self.add_weight(name=name, shape=(rows, columns), initializer=start)

    def _zeros(self, name: str, *shape: int) -> Tensor:
        return self.add_weight(name=name, shape=shape, initializer="zeros")


def _normed(state: Tensor, norm: tuple[Tensor, Tensor]) -> Tensor:
    """Every vector with mean 0 and variance 1, times the norm's gain, plus its offset."""
    centred = state - tf.reduce_mean(state, axis=-1, keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True)
    gain, offset = norm
    return centred * tf.math.rsqrt(variance + _LEAST_VARIANCE) * gain + offset


def _times(state: Tensor, matrix: Tensor) -> Tensor:
    return tf.tensordot(state, matrix, 1)
