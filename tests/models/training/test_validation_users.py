from __future__ import annotations

import numpy as np

from models.training.validation_users import choose_validation_users


def test_a_validation_user_stays_one_with_other_users_and_with_any_larger_share():
    today, tomorrow = [f"user-{n}" for n in range(500)], [f"user-{n}" for n in range(900)]
    validation_users = choose_validation_users(today, 0.2)
    np.testing.assert_array_equal(choose_validation_users(tomorrow, 0.2)[:500], validation_users)
    assert (choose_validation_users(today, 0.5) >= validation_users).all()
    assert 70 < validation_users.sum() < 130


def test_there_is_a_validation_user_and_a_training_user_however_few_users_there_are():
    assert choose_validation_users(["a", "b", "c"], 1e-6).sum() == 1
    assert choose_validation_users(["a", "b", "c"], 1 - 1e-9).sum() == 2
    assert choose_validation_users(["a"], 0.2).tolist() == [True]
