"""Every baseline that runs in memory keeps the contract; Spark's does in tests/jobs/batch/training/test_als.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse

from headrace.errors import BadInputError
from headrace.tables import TIME
from models.baselines import content, counting, ease, factors, interactions, neighbours
from models.baselines.interface import best_of_each_row
from tests.models.baselines.baseline_contract import ITEMS, USERS, BaselineContract, world
from tests.models.metrics import reference_metrics as reference


class TestPopular(BaselineContract):
    finds, make = "nothing", counting.Popular


class TestTrending(BaselineContract):
    finds, make = "nothing", counting.Trending


class TestPersonal(BaselineContract):
    finds, make = "own", counting.Personal


class TestItemNeighbours(BaselineContract):
    make = neighbours.ItemNeighbours


class TestUserNeighbours(BaselineContract):
    make = neighbours.UserNeighbours


class TestEase(BaselineContract):
    make = ease.Ease


class TestEaseTrend(BaselineContract):
    make = ease.EaseTrend


class TestPersonalEase(BaselineContract):
    finds, make = "own", ease.PersonalEase


class TestImplicitAls(BaselineContract):
    def make(self):
        return factors.ImplicitAls(factors.FactorsConfig(factors=8, regularisation=1.0))


class TestContent(BaselineContract):
    make = content.Content


def test_ease_through_the_users_equals_ease_through_the_items_and_the_formula():
    events = world()[0]
    config = ease.EaseConfig(ridge=20.0, half_life_days=None, power=0.0)
    through_users = ease.Ease(config).fit(events)
    through_items = ease.Ease(config)
    through_items.fit(events)
    through_items._learn_from_items()
    inverse = np.linalg.inv(events.taken.toarray().T @ events.taken.toarray() + 20.0 * np.eye(ITEMS))
    weights = np.eye(ITEMS) - inverse / np.diag(inverse)
    users = np.arange(USERS)
    expected = events.taken.toarray()[users] @ weights
    np.testing.assert_allclose(through_users.scores(users), expected, atol=1e-4)
    np.testing.assert_allclose(through_items.scores(users), expected, atol=1e-4)


def test_ease_beyond_its_bound_ranks_the_items_with_most_users_and_the_rest_follow():
    fitted = ease.Ease(ease.EaseConfig(largest_side=10)).fit(world()[0])
    scores = fitted.scores(np.array([0]))[0]
    support = np.bincount(world()[0].taken.indices, minlength=ITEMS)
    ranked = np.flatnonzero(np.isfinite(scores))
    assert len(ranked) == 10
    assert support[ranked].min() >= np.delete(support, ranked).max()


def test_the_confidence_of_a_pair_is_one_plus_alpha_times_its_count():
    taken = np.kron(np.eye(2), np.ones((10, 5)))  # two groups of ten users, who take the same five items each
    config = factors.FactorsConfig(factors=2, regularisation=0.01, alpha=1e-6)
    users, items = factors.implicit_vectors(sparse.csr_matrix(taken), config)
    np.testing.assert_allclose(users @ items.T, taken, atol=0.05)  # a pair counts like one that is not there


def test_trending_shows_what_rises_and_not_what_was_always_there():
    old = [(user, 0, float(age)) for user in range(20) for age in (3, 17, 31, 45, 60)]
    new = [(user, 1, 2.0) for user in range(12)]
    users, items, ages = (np.array(column) for column in zip(*(old + new), strict=True))
    events = interactions.Interactions(users, items, ages, [f"u{n}" for n in range(20)], ["always", "rising"])
    assert counting.Trending().fit(events).top(np.array([0]), 2).tolist() == [[1, 0]]
    assert counting.Popular().fit(events).top(np.array([0]), 2).tolist() == [[0, 1]]


@pytest.mark.parametrize("items", [50, 3000])
@pytest.mark.parametrize("known", [0.3, 0.005])
def test_the_best_of_each_row_are_those_of_the_reference(items: int, known: float):
    random = np.random.default_rng(items)
    values = random.random((40, items)).round(2).astype(np.float32)
    values[random.random(values.shape) > known] = -np.inf
    values[0] = np.sort(random.random(items))  # the sample of every sixteenth guesses well
    values[1, ::16] = 2.0  # and here badly
    assert best_of_each_row(values, 20).tolist() == reference.top_k(values, 20).tolist()


def test_events_become_numbers_in_the_order_of_their_ids_with_their_ages():
    as_of = datetime(2026, 10, 20, tzinfo=UTC)
    table = pa.table(
        {
            "subject_id": ["b", "a", "b"],
            "item_id": ["y", "z", "x"],
            "timestamp": pa.array([as_of - timedelta(days=days) for days in (1, 2, 3)], TIME),
        }
    )
    texts = pa.table({"item_id": ["z", "x"], "text": ["a lamp", "a chair"]})
    found = interactions.as_interactions(table, as_of, texts)
    assert (found.user_ids, found.item_ids) == (["a", "b"], ["x", "y", "z"])
    assert (found.users.tolist(), found.items.tolist(), found.age_days.tolist()) == ([1, 0, 1], [1, 2, 0], [1, 2, 3])
    assert found.texts == ["a chair", "", "a lamp"]
    assert found.counts(1.0).toarray().tolist() == [[0, 0, 0.25], [0.125, 0.5, 0]]
    assert found.users_within(1.0, before=1.0).tolist() == [0, 1, 0]


def test_no_event_to_train_on_is_refused():
    nothing = np.zeros(0, int)
    with pytest.raises(BadInputError, match="no event of interest"):
        interactions.Interactions(nothing, nothing, nothing.astype(float), [], [])
