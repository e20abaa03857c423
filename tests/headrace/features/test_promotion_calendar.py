"""What a promotion calendar says of a moment, in days that can be counted."""

from __future__ import annotations

from datetime import date

import pytest

from headrace.features.promotion_calendar import COMING_DAYS, PAST_DAYS, entry, promoted_shares

DAY = date(2026, 10, 19)


def test_days_after_the_moment_are_coming_and_those_up_to_it_are_past() -> None:
    over_the_moment = entry(date(2026, 10, 18), date(2026, 10, 22), 0.5)  # two days before its end, three after
    shares = promoted_shares([over_the_moment, "none", None], DAY)
    assert shares[0] == pytest.approx([3 * 0.5 / COMING_DAYS, 2 * 0.5 / PAST_DAYS])
    assert not shares[1:].any()


def test_times_add_up_and_what_is_far_away_does_not_count() -> None:
    times = [
        entry(date(2026, 10, 20), date(2026, 10, 26), 1),
        entry(date(2026, 11, 3), date(2026, 11, 9), 0.25),
        entry(date(2026, 12, 1), date(2026, 12, 7), 1),
        entry(date(2026, 7, 1), date(2026, 7, 7), 1),
    ]
    assert promoted_shares([" ".join(times)], DAY)[0] == pytest.approx([(7 + 7 * 0.25) / COMING_DAYS, 0])


def test_a_day_that_does_not_exist_is_no_promotion() -> None:
    assert not promoted_shares(["2026-02-30/2026-10-26=1"], DAY).any()
