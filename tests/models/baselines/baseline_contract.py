"""What every baseline must do, on a small world with three tastes. One subclass per baseline runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache

import numpy as np
import pytest
from scipy import sparse

from models.baselines import Baseline, Interactions
from models.metrics.ranking import NO_ITEM, Targets, score_lists

TASTES, ITEMS_PER_TASTE, USERS = 3, 20, 60
ITEMS = TASTES * ITEMS_PER_TASTE
STRANGER = USERS
"""A user without events."""


@cache
def world() -> tuple[Interactions, list[np.ndarray]]:
    """Every user takes items of one taste, favourites often; and the items of it that each did not take yet."""
    random = np.random.default_rng(1)
    users, items, ages = [], [], []
    for user in range(USERS):
        own = user % TASTES * ITEMS_PER_TASTE + random.choice(ITEMS_PER_TASTE, 12, replace=False)
        taken = np.concatenate([own, np.repeat(own[:2], 4), random.integers(0, ITEMS, 2)])
        users.append(np.full(len(taken), user))
        items.append(taken)
        ages.append(random.uniform(0, 100, len(taken)))
    texts = [f"taste{item // ITEMS_PER_TASTE} thing number{item}" for item in range(ITEMS)]
    ids = [f"u{user}" for user in range(USERS + 1)], [f"i{item}" for item in range(ITEMS)]
    events = Interactions(np.concatenate(users), np.concatenate(items), np.concatenate(ages), *ids, texts)
    own_taste = [np.arange(ITEMS_PER_TASTE) + user % TASTES * ITEMS_PER_TASTE for user in range(USERS)]
    return events, [np.setdiff1d(own_taste[user], events.taken[user].indices) for user in range(USERS)]


class BaselineContract(ABC):
    """Subclasses say how to make the baseline."""

    finds = "new"
    """What it finds better than the popular list: `new` items of the taste, `own` favourites, or `nothing`."""

    @abstractmethod
    def make(self) -> Baseline:
        """A baseline that learnt nothing yet."""

    @pytest.fixture(scope="class")
    def fitted(self) -> Baseline:
        return self.make().fit(world()[0])

    def test_lists_are_full_and_name_no_item_twice(self, fitted: Baseline):
        lists = fitted.top(np.arange(USERS + 1), 25)
        assert lists.shape == (USERS + 1, 25)
        assert all(len(set(row)) == 25 and row.min() >= 0 and row.max() < ITEMS for row in lists)

    def test_excluded_items_do_not_appear_and_the_list_ends_with_the_catalogue(self, fitted: Baseline):
        taken = world()[0].taken[np.arange(3)]
        for row, own in zip(fitted.top(np.arange(3), ITEMS, taken), taken, strict=True):
            shown = row[row != NO_ITEM]
            assert not set(shown) & set(own.indices)
            assert len(shown) == ITEMS - own.nnz

    def test_an_unknown_user_gets_the_popular_list(self, fitted: Baseline):
        events = world()[0]
        recent = events.users_within(28)
        shown = fitted.top(np.array([STRANGER, -1]), 10)
        assert shown[0].tolist() == shown[1].tolist()
        assert sorted(recent[shown[0]]) == sorted(np.sort(recent)[-10:])

    def test_a_list_depends_neither_on_other_users_asked_for_nor_on_a_second_fit(self, fitted: Baseline):
        lists = fitted.top(np.arange(USERS), 10)
        assert fitted.top(np.array([5, 2]), 10).tolist() == lists[[5, 2]].tolist()
        assert self.make().fit(world()[0]).top(np.arange(USERS), 10).tolist() == lists.tolist()

    def test_it_finds_what_it_is_made_for_better_than_the_popular_list(self, fitted: Baseline):
        events, unseen = world()
        users = np.arange(USERS)
        if self.finds == "own":
            exclude, wanted = None, [np.flatnonzero(events.counts(None)[user].toarray()[0] >= 5) for user in users]
        else:
            exclude, wanted = events.taken[users], unseen
        targets = Targets.of(wanted)
        ours = score_lists(fitted.top(users, 8, exclude), targets, 8).recall.mean()
        popular = fitted.top(np.full(USERS, -1), 8, exclude)
        expected = score_lists(popular, targets, 8).recall.mean()
        assert ours > 2 * expected if self.finds != "nothing" else ours >= 0

    def test_a_single_event_is_enough(self):
        alone = Interactions(np.zeros(1, int), np.array([1]), np.ones(1), ["u"], ["a", "b", "c"], ["x", "x", "x"])
        assert sorted(self.make().fit(alone).top(np.array([0]), 3)[0].tolist()) == [0, 1, 2]
        nothing_left = sparse.csr_matrix(np.ones((1, 3)))
        assert self.make().fit(alone).top(np.array([0]), 3, nothing_left).tolist() == [[NO_ITEM] * 3]
