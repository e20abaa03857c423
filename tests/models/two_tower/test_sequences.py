"""What training examples are cut out of users' sequences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from headrace.features.user_row import MICROSECONDS_PER_DAY
from headrace.settings.jobs import TrainingSettings
from models.two_tower.architecture import example_cutter
from models.two_tower.examples.sequences import ExampleCutter, find_occasions, in_another_order, read_sequences

ITEMS = ["a", "b", "c", "d"]


def sequences(*users: dict[str, list[tuple[int, str]]], first_target: int = 0):
    """Users given by their (day, item) events."""
    table = pa.table(
        {
            "items": [[item for _, item in user] for user in users],
            "types": [["purchase"] * len(user) for user in users],
            "timestamps": [[day * MICROSECONDS_PER_DAY for day, _ in user] for user in users],
            "first_target": pa.array([first_target] * len(users), pa.int32()),
        }
    )
    return read_sequences(table, ITEMS, {"event_types": ["purchase"]}, np.zeros((len(users), 0), np.int32))


def one_batch(data, cutter: ExampleCutter, as_of: int = 0):
    """All examples at once."""
    occasions = find_occasions(data)
    (batch,) = cutter.batches(data, occasions, cutter.plan(occasions, 1000, np.random.default_rng(0)), as_of)
    return batch


def test_history_of_an_example_never_holds_its_own_basket_or_anything_later():
    random = np.random.default_rng(5)
    users = [
        sorted(
            (int(day), ITEMS[int(item)])
            for day, item in zip(random.integers(0, 9, 40), random.integers(0, 4, 40), strict=True)
        )
        for _ in range(8)
    ]
    data = sequences(*users)
    occasions = find_occasions(data)
    history = ExampleCutter(50, 84, 1).history(data, occasions)
    for row, (user, time) in enumerate(zip(occasions.user, occasions.times, strict=True)):
        before = [ITEMS.index(item) + 1 for day, item in users[user] if day * MICROSECONDS_PER_DAY < time]
        assert history["history_items"][row][: len(before)].tolist() == before[::-1]
        assert not history["history_items"][row][len(before) :].any()


def test_each_item_of_a_basket_is_one_example_and_all_share_one_history():
    batch = one_batch(sequences([(1, "a"), (2, "b"), (2, "c"), (2, "b")]), ExampleCutter(3, 84, 1))
    assert batch["history_items"].tolist() == [[1, 0, 0]]
    assert sorted(batch["target_items"].tolist()) == [2, 3]
    assert batch["target_occasions"].tolist() == [0, 0]


def test_items_outside_the_catalogue_are_not_targets():
    batch = one_batch(sequences([(1, "a"), (2, "unheard"), (2, "b")]), ExampleCutter(3, 84, 1))
    assert batch["target_items"].tolist() == [2]


def test_events_before_the_training_window_are_history_only():
    data = sequences([(1, "a"), (2, "b"), (3, "c")], first_target=2)
    batch = one_batch(data, ExampleCutter(3, 84, 1))
    assert batch["target_items"].tolist() == [3]
    assert batch["history_items"].tolist() == [[2, 1, 0]]


def test_examples_halve_in_weight_with_age_and_repeats_weigh_what_the_setting_says():
    data = sequences([(0, "a"), (10, "b"), (20, "a")])
    batch = one_batch(data, ExampleCutter(3, 10, 0.5), as_of=20 * MICROSECONDS_PER_DAY)
    weights = dict(zip(batch["target_items"].tolist(), batch["target_weights"].tolist(), strict=True))
    assert weights == {2: 0.5, 1: 0.5}  # b: new, ten days old; a: of today, but taken before


def test_an_example_counts_for_what_the_weightiest_of_its_events_is_worth():
    training = TrainingSettings(retrieval_view_weight=0.25, retrieval_like_weight=3, repeat_weight=1)
    types = ["purchase", "view", "like"]
    data = sequences([(1, "a"), (2, "b"), (2, "c"), (2, "b"), (2, "d")])
    data = replace(data, types=np.array([1, 2, 2, 1, 3], np.int32))
    batch = one_batch(data, example_cutter(training, 3, types), as_of=2 * MICROSECONDS_PER_DAY)
    weights = dict(zip(batch["target_items"].tolist(), batch["target_weights"].tolist(), strict=True))
    assert weights == {2: 1, 3: 0.25, 4: 3}  # b was viewed and bought
    assert example_cutter(TrainingSettings(), 3, types).type_weights == ()


def test_every_example_is_in_exactly_one_batch():
    users = [[(day, ITEMS[day % 4]) for day in range(20)] for _ in range(9)]
    data = sequences(*users)
    cutter, occasions = ExampleCutter(5, 84, 1), find_occasions(data)
    plan = cutter.plan(occasions, 16, np.random.default_rng(1))
    assert sorted(np.concatenate(plan)) == list(range(len(occasions)))
    sizes = [len(batch["target_items"]) for batch in cutter.batches(data, occasions, plan, 0)]
    assert sum(sizes) == 9 * 19
    assert max(sizes) <= 17


def test_events_in_another_order_stay_their_users_and_later_ones_keep_their_position():
    data = sequences(*([(day, ITEMS[(day + user) % 4]) for day in range(8)] for user in range(6)))
    until = 5 * MICROSECONDS_PER_DAY
    other = in_another_order(data, until, np.random.default_rng(2))
    changed = 0
    for start in data.starts[:-1]:
        before, later = slice(start, start + 5), slice(start + 5, start + 8)
        assert sorted(other.items[before]) == sorted(data.items[before])
        assert other.items[later].tolist() == data.items[later].tolist()
        changed += other.items[before].tolist() != data.items[before].tolist()
    assert changed > 3
    assert other.times is data.times
