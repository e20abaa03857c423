"""AUC, log-loss and calibration, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from headrace.errors import BadInputError
from models.metrics.probabilities import area_per_user, area_under_curve, calibration, log_loss

YES, NO = True, False


def test_a_tie_is_half_a_win_in_the_area_under_the_curve():
    # Pairs (taken, not): (.9, .1) won, (.9, .5) won, (.5, .1) won, (.5, .5) tied: 3.5 of 4.
    assert area_under_curve(np.array([0.9, 0.5, 0.5, 0.1]), np.array([YES, YES, NO, NO])) == 3.5 / 4
    assert area_under_curve(np.array([0.9, 0.1]), np.array([YES, YES])) == 0.5


def test_the_area_per_user_compares_only_candidates_of_the_same_user():
    users = np.array([0, 1, 0, 1, 2])
    areas = area_per_user(users, np.array([0.2, 0.9, 0.1, 0.8, 0.5]), np.array([YES, NO, NO, YES, YES]))
    assert areas[:2].tolist() == [1.0, 0.0]
    assert math.isnan(areas[2])  # took everything it was offered: nothing to compare


def test_log_loss_is_the_mean_surprise_and_never_infinite():
    assert log_loss(np.array([0.5, 0.25]), np.array([YES, NO])) == pytest.approx((math.log(2) - math.log(0.75)) / 2)
    assert log_loss(np.array([0.0]), np.array([YES])) == pytest.approx(-math.log(1e-7))


def test_calibration_compares_each_bin_with_what_happened_in_it():
    found = calibration(np.array([0.1, 0.8, 0.1, 0.6]), np.array([NO, YES, NO, NO]), bins=2)
    assert found.counts.tolist() == [2, 2]
    assert found.predicted.tolist() == pytest.approx([0.1, 0.7])
    assert found.happened.tolist() == [0.0, 0.5]
    assert found.error == pytest.approx(0.1 * 0.5 + 0.2 * 0.5)


def test_a_value_that_is_not_a_probability_is_refused_with_its_candidate():
    with pytest.raises(BadInputError, match=r"candidate 1: 1\.5 is not a probability"):
        log_loss(np.array([0.5, 1.5]), np.array([YES, NO]))
    with pytest.raises(BadInputError, match="candidate 0: nan is not a probability"):
        calibration(np.array([np.nan]), np.array([NO]))
