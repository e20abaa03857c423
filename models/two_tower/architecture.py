"""The two-tower that the settings describe, untrained, and what cuts its examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from headrace.events import EventType
from headrace.settings.jobs import TrainingSettings
from models.two_tower.examples.sequences import ExampleCutter
from models.two_tower.examples.windows import WindowCutter
from models.two_tower.network.attention import AttentionShape, AttentionTower
from models.two_tower.network.model import ItemColumns, ItemTower, TwoTower
from models.two_tower.network.negatives import Negatives
from models.two_tower.network.pooling import PoolingTower, UserTower


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


def example_cutter(training: TrainingSettings, history_length: int, event_types: Sequence[str] = ()) -> ExampleCutter:
    """Cuts the training batches of the user tower: whole windows where it has a vector at every position.

    `event_types` are those of the vocabulary.
    """
    kind = ExampleCutter if training.user_tower == "pooling" else WindowCutter
    return kind(
        history_length,
        training.example_half_life_days,
        training.repeat_weight,
        training.tower_context,
        type_weights(training, event_types),
    )


def type_weights(training: TrainingSettings, event_types: Sequence[str]) -> tuple[float, ...]:
    """What an event of each code counts for as a target, an unknown type first; none where all count alike."""
    weights = {
        EventType.VIEW: training.retrieval_view_weight,
        EventType.CLICK: training.retrieval_click_weight,
        EventType.ADD_TO_CART: training.retrieval_cart_weight,
        EventType.PURCHASE: training.retrieval_purchase_weight,
        EventType.RATING: training.retrieval_rating_weight,
        EventType.LIKE: training.retrieval_like_weight,
    }
    named = (1.0, *(weights[EventType(name)] for name in event_types))
    return named if set(named) != {1.0} else ()
