"""When a challenger replaces the champion: shown not to be worse on any guardrail, better on one."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from headrace.settings.jobs import GateSettings
from models.gate.guardrails import (
    beside_the_anchor,
    drift,
    freshness,
    latency,
    number,
    of_slice,
    outcome,
    quality,
    size,
)

Floats = npt.NDArray[np.float64]
GATE = GateSettings()
BEFORE = np.linspace(0.2, 0.6, 100)
"""nDCG of a hundred validation users under the champion."""


def users_with(change: float, spread: float = 0.0) -> Floats:
    """Validation users whose nDCG changed by `change` on average, half of them `spread` more and half less."""
    return BEFORE + change + np.where(np.arange(100) % 2, spread, -spread)


def verdict_of(change: float, *, spread: float = 0.0, validation_users: int = 100) -> str:
    return quality("q", users_with(change, spread)[:validation_users], BEFORE[:validation_users], 0.01, GATE).verdict


def slice_verdict_of(change: float, *, spread: float = 0.0, slices: int = 1, validation_users: int = 100) -> str:
    changed = users_with(change, spread)[:validation_users]
    return of_slice("s", changed, BEFORE[:validation_users], 0.01, GATE, slices).verdict


def test_quality_is_worse_only_if_it_fell_by_more_than_the_tolerance_and_not_by_chance():
    assert verdict_of(-0.02) == "worse"
    assert verdict_of(-0.003) == "equal"  # less than 1 % of .4
    assert verdict_of(+0.02) == "better"
    assert verdict_of(float("nan")) == "worse"


def test_what_is_not_shown_to_be_no_worse_holds_back():
    assert verdict_of(-0.02, spread=0.3) == "holds back"  # ± .06 by chance
    assert verdict_of(0.0, spread=0.3) == "holds back"
    assert verdict_of(0.0, spread=0.01) == "equal"  # ± .002
    assert verdict_of(+0.02, validation_users=GATE.least_validation_users - 1) == "holds back"


def test_a_slice_is_never_better_and_one_of_many_needs_stronger_evidence():
    assert slice_verdict_of(+0.02) == "equal"
    assert slice_verdict_of(-0.05, spread=0.22) == "worse"
    assert slice_verdict_of(-0.05, spread=0.22, slices=1000) == "equal"


def test_a_slice_of_too_few_validation_users_decides_nothing():
    assert slice_verdict_of(-0.2, validation_users=GATE.least_validation_users - 1) == "equal"
    assert slice_verdict_of(-0.2, validation_users=GATE.least_validation_users) == "worse"
    few = np.ones(GATE.least_validation_users - 1)
    assert latency(9 * few, few, GATE).verdict == "equal"


def test_numbers_are_worse_or_better_beyond_their_tolerance():
    assert number("coverage", 0.08, 0.1, 0.1, more_is_better=True).verdict == "worse"
    assert number("coverage", 0.095, 0.1, 0.1, more_is_better=True).verdict == "equal"
    assert number("latency", 80.0, 100.0, 0.1, more_is_better=False).verdict == "better"
    assert number("latency", float("nan"), 100.0, 0.1, more_is_better=False).verdict == "worse"


def test_latency_goes_by_the_ratio_of_each_request_so_that_a_slow_minute_harms_neither():
    champion = np.array([1.0] * 50 + [10.0] * 50)  # the machine was busy in the second half
    assert latency(1.1 * champion, champion, GATE).verdict == "equal"
    assert latency(1.5 * champion, champion, GATE).verdict == "worse"
    once = champion.copy()
    once[3] = 500.0
    assert latency(once, champion, GATE).verdict == "equal"


def test_size_and_drift_hold_back_and_never_refuse():
    assert [size(each, 100.0, GATE).verdict for each in (70.0, 120.0, 130.0)] == ["better", "equal", "holds back"]
    assert [drift(share, GATE).verdict for share in (None, 0.5, 0.51)] == ["equal", "equal", "holds back"]


def test_later_days_are_better_if_the_settings_say_so():
    monday, tuesday = datetime(2026, 11, 23, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC)
    assert freshness(tuesday, monday, GATE).verdict == "better"
    assert freshness(monday, monday, GATE).verdict == "equal"
    assert freshness(tuesday, monday, GATE.model_copy(update={"fresher_is_better": False})).verdict == "equal"


def test_a_fresher_release_is_promoted_only_if_nothing_refuses_it_or_holds_it_back():
    monday, tuesday = datetime(2026, 11, 23, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC)
    fresh = freshness(tuesday, monday, GATE)
    equal = number("coverage", 0.1, 0.1, 0.1, more_is_better=True)
    worse = number("coverage", 0.05, 0.1, 0.1, more_is_better=True)
    large = size(200.0, 100.0, GATE)
    assert outcome([equal, fresh])[0] == "promoted"
    assert outcome([large, equal, fresh]) == ("kept", "size in bytes holds back: +100.0%, limit ±25%")
    assert outcome([large, fresh, worse]) == ("refused", "coverage is worse: -50.0%, limit ±10%")
    assert outcome([equal]) == ("kept", "no guardrail is better")


def test_many_small_losses_add_up_against_the_anchor_and_to_be_better_than_it_is_no_merit():
    def a_day_later(before: Floats) -> Floats:
        return before * 0.991

    champion = BEFORE
    for day in range(1, 4):
        challenger = a_day_later(champion)
        assert quality("champion", challenger, champion, 0.01, GATE).verdict == "equal"
        against_anchor = quality("anchor", challenger, BEFORE, 0.01, GATE).verdict
        assert against_anchor == ("equal" if day == 1 else "worse")
        champion = challenger
    (better,) = beside_the_anchor([quality("anchor", 2 * BEFORE, BEFORE, 0.01, GATE)])
    assert better.verdict == "equal"
