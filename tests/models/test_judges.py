from __future__ import annotations

import numpy as np

from models.judges import choose_judges


def test_who_judges_today_judges_tomorrow_whoever_else_comes_and_with_any_larger_share():
    today, tomorrow = [f"user-{n}" for n in range(500)], [f"user-{n}" for n in range(900)]
    judges = choose_judges(today, 0.2)
    np.testing.assert_array_equal(choose_judges(tomorrow, 0.2)[:500], judges)
    assert (choose_judges(today, 0.5) >= judges).all()
    assert 70 < judges.sum() < 130


def test_there_is_a_judge_and_somebody_to_learn_from_however_few_users_there_are():
    assert choose_judges(["a", "b", "c"], 1e-6).sum() == 1
    assert choose_judges(["a", "b", "c"], 1 - 1e-9).sum() == 2
    assert choose_judges(["a"], 0.2).tolist() == [True]
