"""What every user tower is, and the default one: a weighted sum over the history."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

Tensor = Any
"""A TensorFlow tensor; its library has no types."""
History = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""Vectors of the items [n, length, dimensions], newest first, item rows + 1, types, ages in days, profile codes."""


class UserTower(tf.keras.layers.Layer):
    """A function of the history and the profile, whose codes add a vector each."""

    def __init__(self, dimensions: int, event_types: int, profile_sizes: tuple[int, ...], seed: int) -> None:
        super().__init__(name="user_tower")
        self.dimensions = dimensions
        self.event_types = event_types
        self.profile_sizes = profile_sizes
        self.seed = seed

    def build(self, _shape: Any) -> None:
        """A table per profile key."""
        self.profiles = [
            self.add_weight(name=f"profile_{column}", shape=(size, self.dimensions), initializer="zeros")
            for column, size in enumerate(self.profile_sizes)
        ]
        super().build(_shape)

    def with_profile(self, user: Tensor, profile: Tensor) -> Tensor:
        """The vectors [users, dimensions] with those of their profile's codes [users, keys] added."""
        for column, table in enumerate(self.profiles):
            user += known_rows(table, profile[:, column])
        return user


class PoolingTower(UserTower):
    """User vectors from the item vectors of the history by event type and age, whatever their order."""

    def build(self, _shape: Any) -> None:
        """A weight per event type, a rate of forgetting and a small mixing matrix."""
        self.type_weights = self.add_weight(name="type_weights", shape=(self.event_types + 1,), initializer="zeros")
        start = tf.keras.initializers.Constant(-4.0)
        self.forgetting = self.add_weight(name="forgetting", shape=(), initializer=start)
        self.mixing = self.add_weight(name="mixing", shape=(self.dimensions, self.dimensions), initializer="zeros")
        super().build(_shape)

    def call(self, inputs: History) -> Tensor:
        """[users, dimensions]"""
        vectors, items, types, ages, profile = inputs
        weights = tf.exp(tf.gather(self.type_weights, types) - tf.nn.softplus(self.forgetting) * ages)
        weights *= tf.cast(items > 0, tf.float32)
        # Divided by the root of the count: more evidence makes a longer vector, but not without bounds.
        norm = tf.sqrt(tf.maximum(tf.reduce_sum(weights, axis=1, keepdims=True), 1e-6))
        pooled = tf.reduce_sum(vectors * weights[:, :, None], axis=1) / norm
        return self.with_profile(pooled + tf.matmul(pooled, self.mixing), profile)


def known_rows(table: Tensor, codes: Tensor) -> Tensor:
    """Rows of the table; zeros for the unknown code 0."""
    return tf.gather(table, codes) * tf.cast(codes > 0, tf.float32)[:, None]
