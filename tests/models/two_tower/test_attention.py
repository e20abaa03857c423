"""The sequence-aware user tower: what a position of a sequence may read, and the vector that is served."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.features.user_row import MICROSECONDS_PER_DAY, HistoryEvent
from headrace.features.user_tower import load_user_tower
from headrace.release.bundle import Release, open_release
from headrace.release.catalogue import load_catalogue
from models.train_retrieval import train_retrieval
from models.two_tower.examples.sequences import Batch, ExampleCutter, find_occasions
from models.two_tower.examples.windows import WindowCutter
from tests.models.conftest import settings_in
from tests.models.planted_world import DAY, World, microseconds
from tests.models.two_tower.test_sequences import one_batch, sequences

ROUND = 12
DIMENSIONS, LENGTH = 6, 8


class WalkInARound(World):
    """Ids and times alone: everybody takes item-0-1 after item-0-0, and so on, and item-0-0 after the last."""

    def __post_init__(self) -> None:
        for user in range(self.users):
            for step in range(40):
                moment = microseconds(DAY) - (80 - 2 * step) * MICROSECONDS_PER_DAY
                self.events[f"user-{user}"].append((moment, f"e{user}-{step}", f"item-0-{(user + step) % ROUND}"))

    def item_ids(self) -> list[str]:
        return [f"item-0-{number}" for number in range(ROUND)]

    def _item(self, item: str) -> dict[str, Any]:
        return {name: value for name, value in super()._item(item).items() if name in ("item_id", "valid_from")}

    def _sequence(self, user: str, day: date) -> dict[str, Any]:
        return {**super()._sequence(user, day), "profile_keys": [], "profile_values": []}


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """A bundle of the round, learned with attention."""
    settings = settings_in(
        tmp_path_factory.mktemp("walk"),
        user_tower="attention",
        retrieval_optimiser="adam",
        retrieval_negatives="catalogue",
        retrieval_learning_rate=0.01,
        retrieval_epochs=12,
        attention_layers=1,
    )
    WalkInARound(users=24).write(Path(settings.lake_root))
    return open_release(train_retrieval(settings, DAY) / "retrieval")


def walked(last: int, steps: int) -> list[HistoryEvent]:
    """So many steps of the round, up to item number `last`."""
    items = [f"item-0-{(last - back) % ROUND}" for back in range(steps)][::-1]
    return [HistoryEvent(2 * day * MICROSECONDS_PER_DAY, f"e{day}", item, "purchase") for day, item in enumerate(items)]


def test_what_comes_next_follows_from_the_order_of_ids_alone(walk: Release):
    catalogue = load_catalogue(walk)
    tower = load_user_tower(walk, catalogue.row_of)
    vectors = tower.vectors([walked(last, 15) for last in range(ROUND)], [{}] * ROUND)
    first = [catalogue.item_ids[row] for row in np.argmax(vectors @ catalogue.embeddings.T, axis=1)]
    assert first == [f"item-0-{(last + 1) % ROUND}" for last in range(ROUND)]


def test_batch_stream_and_serving_get_the_same_vectors(walk: Release):
    import tensorflow as tf

    tower = load_user_tower(walk, load_catalogue(walk).row_of)
    newer = HistoryEvent(MICROSECONDS_PER_DAY * 99, "n", "an item of tomorrow", "a type of tomorrow")
    users = [walked(3, 60), walked(5, 2), [], [*walked(5, 2), newer]]
    profiles = [{"age": "a field of tomorrow"}, {}, {}, {}]
    saved = tf.saved_model.load(str(walk.path("user_tower"))).signatures["serving_default"]
    inputs = {name: tf.constant(array) for name, array in tower.encoder.encode(users, profiles).as_dict().items()}
    batch = saved(**inputs)["user_vectors"].numpy()
    served = tower.vectors(users, profiles)
    live = np.concatenate([tower.vectors([user], [profile]) for user, profile in zip(users, profiles, strict=True)])
    np.testing.assert_allclose(served, batch, atol=1e-5)
    np.testing.assert_allclose(live, batch, atol=1e-5)
    np.testing.assert_allclose(batch[3], batch[1], atol=1e-5)  # what the release does not know changes nothing
    assert not batch[2, :-1].any()
    assert (batch[:, -1] == 1).all()


def untrained() -> Any:
    """A tower of two layers whose every weight is drawn at random."""
    from models.two_tower.network.attention import AttentionShape, AttentionTower

    tower = AttentionTower(DIMENSIONS, 1, (), 3, AttentionShape(LENGTH, 2, 2, 0.5))
    one = np.ones((1, LENGTH), np.int32)
    tower((np.zeros((1, LENGTH, DIMENSIONS), np.float32), one, one, one * 1.0, one[:, :0]))
    random = np.random.default_rng(4)
    tower.set_weights([random.normal(size=weight.shape) for weight in tower.get_weights()])
    return tower


def history_of(batch: Batch) -> tuple[Any, ...]:
    """What the tower reads; an item's vector is drawn by its number."""
    table = np.random.default_rng(5).normal(size=(9, DIMENSIONS)).astype(np.float32)
    names = ("history_items", "history_types", "history_ages", "profile")
    return (table[batch["history_items"]], *(batch[name] for name in names))


def test_a_later_event_changes_no_earlier_position():
    tower = untrained()
    ages = np.arange(LENGTH, dtype=np.float32)[None]
    one = np.ones((1, LENGTH), np.int32)

    def states(items: list[int]) -> Any:
        batch = {"history_items": np.array([items]), "history_types": one, "history_ages": ages, "profile": one[:, :0]}
        return tower.states(history_of(batch)).numpy()[0]

    before, after = states([1, 2, 3, 4, 5, 6, 7, 8]), states([1, 2, 8, 4, 5, 6, 7, 8])  # the newest first
    np.testing.assert_array_equal(before[3:], after[3:])
    assert (np.abs(before[:3] - after[:3]).max(axis=1) > 1e-3).all()
    with_unknown = states([1, 0, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(with_unknown[1:], 0)


def test_the_vector_trained_at_a_position_is_the_one_served_for_that_history():
    tower = untrained()
    data = sequences(
        [(1, "a"), (2, "b"), (2, "c"), (4, "d"), (9, "unheard"), (9.5, "a"), (30, "d")],
        [(3, "unheard"), (5, "b"), (6, "c")],
    )
    occasions = find_occasions(data)
    order = np.random.default_rng(6).permutation(len(occasions))
    windows = WindowCutter(LENGTH, 84, 1).history(data, occasions[order])
    learned = tower(history_of(windows), occasions=(windows["occasion_windows"], windows["occasion_positions"]))
    served = tower(history_of(ExampleCutter(LENGTH, 84, 1).history(data, occasions[order])))
    np.testing.assert_allclose(learned, served, atol=1e-4)
    assert len(windows["history_items"]) < len(occasions)
    assert np.abs(served).max(axis=1).min() == 0  # nothing is known of who took an unknown item only


def test_every_occasion_is_in_one_batch_with_half_of_the_history_at_least():
    users = [[(day, "abcd"[day % 4]) for day in range(30)] for _ in range(5)]
    data, cutter = sequences(*users), WindowCutter(LENGTH, 84, 1)
    occasions = find_occasions(data)
    plan = cutter.plan(occasions, 16, np.random.default_rng(1))
    assert sorted(np.concatenate(plan)) == list(range(len(occasions)))
    assert max(len(part) for part in plan) < 16 + LENGTH // 2
    for batch in cutter.batches(data, occasions, plan, 0):
        known = (batch["history_items"] > 0).sum(axis=1)[batch["occasion_windows"]] - batch["occasion_positions"]
        assert ((known > LENGTH // 2) | (batch["occasion_positions"] + known < LENGTH)).all()


@pytest.mark.parametrize(("user_tower", "repeat_weight"), [("pooling", 0), ("attention", 0), ("attention", 1)])
def test_what_a_user_had_is_compared_with_what_comes_next_only_where_repeats_are_learned(
    user_tower: str, repeat_weight: float
):
    from headrace.settings.jobs import TrainingSettings
    from models.two_tower.architecture import build_model, example_cutter
    from models.two_tower.network.model import ItemColumns

    training = TrainingSettings(
        embedding_size=5, user_tower=user_tower, retrieval_negatives="catalogue", repeat_weight=repeat_weight
    )
    data = sequences([(1, "a"), (2, "b")])
    nothing = np.zeros((5, 1), np.int32)
    events = np.array([0, 1, 1, 0, 0])  # c and d were never taken: they are no negatives
    model = build_model(ItemColumns(nothing, (1,), nothing, 1), 1, (), LENGTH, events, training)
    loss = model.compute_loss(one_batch(data, example_cutter(training, LENGTH)))
    assert float(loss) == pytest.approx(np.log(2) * repeat_weight, abs=0.1)
