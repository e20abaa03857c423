"""Context features are the same of one moment and of a column of them."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from headrace.features.context import ContextFeatures, context_features, hour_of, weekday_of
from headrace.tables import microseconds

FRIDAY = microseconds(datetime(2026, 11, 20, 23, 59, 59, 999_999, tzinfo=UTC))


def test_an_event_has_its_hour_weekday_device_and_surface():
    assert context_features(FRIDAY, {"device": " Phone ", "surface": "web"}) == ContextFeatures(23, 4, "phone", "web")
    assert context_features(FRIDAY + 1, {}) == ContextFeatures(0, 5, "unknown", "unknown")


def test_a_column_of_times_gives_what_each_of_them_gives():
    times = np.array([0, FRIDAY, FRIDAY + 1])
    assert hour_of(times).tolist() == [0, 23, 0]
    assert weekday_of(times).tolist() == [3, 4, 5]  # 1970 began on a Thursday
