"""The two-tower that the settings describe, untrained, and what cuts its examples."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from headrace.settings_jobs import TrainingSettings
from models.two_tower.attention import AttentionShape, AttentionTower
from models.two_tower.model import ItemColumns, ItemTower, TwoTower
from models.two_tower.negatives import Negatives
from models.two_tower.pooling import PoolingTower, UserTower
from models.two_tower.sequences import ExampleCutter
from models.two_tower.windows import WindowCutter


def build_model(
    columns: ItemColumns,
    event_types: int,
    profile_sizes: tuple[int, ...],
    history_length: int,
    events: npt.NDArray[np.int64],
    training: TrainingSettings,
) -> TwoTower:
    """An untrained model; one dimension of `training.embedding_size` is left for the popularity prior.

    `events` [items + 1] is how often training will meet each item. Call it in the scope of the workers' strategy.
    """
    tf.keras.utils.set_random_seed(training.seed)
    tf.config.experimental.enable_op_determinism()
    dimensions = training.embedding_size - 1
    model = TwoTower(
        ItemTower(columns, dimensions, training.id_dropout, training.seed),
        _user_tower(dimensions, event_types, profile_sizes, history_length, training),
        events,
        Negatives.of(training),
    )
    # Only the legacy Adagrad updates the rows that a batch used and leaves the rest of a table alone.
    optimisers = {"adagrad": tf.keras.optimizers.legacy.Adagrad, "adam": tf.keras.optimizers.legacy.Adam}
    model.compile(optimizer=optimisers[training.retrieval_optimiser](training.retrieval_learning_rate))
    return model


def _user_tower(
    dimensions: int,
    event_types: int,
    profile_sizes: tuple[int, ...],
    history_length: int,
    training: TrainingSettings,
) -> UserTower:
    if training.user_tower == "pooling":
        return PoolingTower(dimensions, event_types, profile_sizes, training.seed)
    shape = AttentionShape(
        history_length, training.attention_layers, training.attention_heads, training.attention_dropout
    )
    return AttentionTower(dimensions, event_types, profile_sizes, training.seed, shape)


def example_cutter(training: TrainingSettings, history_length: int) -> ExampleCutter:
    """Cuts what the user tower of `training` learns from: whole windows where it has a vector at every place."""
    kind = ExampleCutter if training.user_tower == "pooling" else WindowCutter
    return kind(history_length, training.example_half_life_days, training.repeat_weight, training.tower_context)
