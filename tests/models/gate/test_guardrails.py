"""When a challenger replaces the champion: not worse on any guardrail, better on one."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from headrace.settings.jobs import GateSettings
from models.gate.guardrails import drift, freshness, latency, number, outcome, quality

GATE = GateSettings()
BEFORE = np.linspace(0.2, 0.6, 100)
"""nDCG of a hundred validation users under the champion."""


def verdict_of(change: float, *, spread: float = 0.0, compared: int = 0, validation_users: int = 100) -> str:
    """Of validation users whose nDCG changed by `change` on average, half of them `spread` more and half less."""
    swing = np.where(np.arange(100) % 2, spread, -spread)
    return quality(
        "q", (BEFORE + change + swing)[:validation_users], BEFORE[:validation_users], 0.01, GATE, compared
    ).verdict


def test_quality_is_worse_only_if_it_fell_by_more_than_the_tolerance_and_not_by_chance():
    assert verdict_of(-0.02) == "worse"
    assert verdict_of(-0.003) == "equal"  # less than 1 % of .4
    assert verdict_of(-0.02, spread=0.3) == "equal"  # ± .06 by chance
    assert verdict_of(+0.02) == "better"
    assert verdict_of(+0.02, spread=0.3) == "equal"
    assert verdict_of(float("nan")) == "worse"


def test_a_slice_is_never_better_and_one_of_many_needs_stronger_evidence():
    assert verdict_of(+0.02, compared=1) == "equal"
    assert verdict_of(-0.05, spread=0.22, compared=1) == "worse"
    assert verdict_of(-0.05, spread=0.22, compared=1000) == "equal"


def test_too_few_validation_users_decide_nothing():
    assert verdict_of(-0.2, validation_users=GATE.least_validation_users - 1) == "equal"
    assert verdict_of(-0.2, validation_users=GATE.least_validation_users) == "worse"
    few = np.ones(GATE.least_validation_users - 1)
    assert latency(9 * few, few, GATE).verdict == "equal"


def test_numbers_are_worse_or_better_beyond_their_tolerance():
    assert number("coverage", 0.08, 0.1, 0.1, more_is_better=True).verdict == "worse"
    assert number("coverage", 0.095, 0.1, 0.1, more_is_better=True).verdict == "equal"
    assert number("size", 80.0, 100.0, 0.1, more_is_better=False).verdict == "better"
    assert number("size", float("nan"), 100.0, 0.1, more_is_better=False).verdict == "worse"


def test_latency_goes_by_the_ratio_of_each_request_so_that_a_slow_minute_harms_neither():
    champion = np.array([1.0] * 50 + [10.0] * 50)  # the machine was busy in the second half
    assert latency(1.1 * champion, champion, GATE).verdict == "equal"
    assert latency(1.5 * champion, champion, GATE).verdict == "worse"
    once = champion.copy()
    once[3] = 500.0
    assert latency(once, champion, GATE).verdict == "equal"


def test_drift_refuses_only_beyond_its_share_and_is_nothing_where_it_was_not_measured():
    assert [drift(share, GATE).verdict for share in (None, 0.5, 0.51)] == ["equal", "equal", "worse"]


def test_later_days_are_better_if_the_settings_say_so():
    monday, tuesday = datetime(2026, 11, 23, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC)
    assert freshness(tuesday, monday, GATE).verdict == "better"
    assert freshness(monday, monday, GATE).verdict == "equal"
    assert freshness(tuesday, monday, GATE.model_copy(update={"fresher_is_better": False})).verdict == "equal"


def test_one_guardrail_that_is_worse_refuses_and_one_that_is_better_promotes():
    worse = number("size", 200.0, 100.0, 0.1, more_is_better=False)
    equal = number("coverage", 0.1, 0.1, 0.1, more_is_better=True)
    better = number("coverage", 0.3, 0.1, 0.1, more_is_better=True)
    assert outcome([equal, better, worse]) == ("refused", "size is worse: +100.0%, limit ±10%")
    assert outcome([equal, better])[0] == "promoted"
    assert outcome([equal]) == ("kept", "no guardrail is better")
