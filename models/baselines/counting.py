"""Baselines that only count: what is popular, what is rising, what a user takes most."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import BaseModel, PositiveFloat, PositiveInt

from models.baselines.interactions import Floats, Interactions, Rows
from models.baselines.interface import Baseline


class PopularConfig(BaseModel):
    days: PositiveFloat = 28.0
    """Distinct users of the last so many days."""


class Popular(Baseline):
    """The same list for all users, by the number of distinct recent users."""

    name: ClassVar = "popular"
    zero_is_unknown: ClassVar = True

    def __init__(self, config: PopularConfig | None = None) -> None:
        self.config = config or PopularConfig()

    def _learn(self, events: Interactions) -> None:
        self._score = events.users_within(self.config.days).astype(np.float32)

    def scores(self, users: Rows) -> Floats:
        """See the interface."""
        return np.tile(self._score, (len(users), 1))


class TrendingConfig(BaseModel):
    days: PositiveFloat = 14.0
    """What is counted as now."""
    compared: PositiveInt = 4
    """Number of earlier windows of the same length from which the expected count is computed."""


class Trending(Baseline):
    """The same list for all users: items with more users now than expected from the weeks before.

    Score: (now − expected) / √(expected + 1), as surprising as it would be for a Poisson count. What was to be expected
    is the mean of times of equal length: over a longer one users who come back would count once.
    """

    name: ClassVar = "trending"
    zero_is_unknown: ClassVar = True

    def __init__(self, config: TrendingConfig | None = None) -> None:
        self.config = config or TrendingConfig()

    def _learn(self, events: Interactions) -> None:
        days, compared = self.config.days, self.config.compared
        now = events.users_within(days)
        expected = sum(events.users_within(days, before=days * time) for time in range(1, compared + 1)) / compared
        self._score = ((now - expected) / np.sqrt(expected + 1)).astype(np.float32)

    def scores(self, users: Rows) -> Floats:
        """See the interface."""
        return np.tile(self._score, (len(users), 1))


class PersonalConfig(BaseModel):
    half_life_days: PositiveFloat = 84.0
    """Half-life of an event's weight, in days."""


class Personal(Baseline):
    """Items the user took most, recent events weighted higher; then popular items. Finds no new items."""

    name: ClassVar = "personal frequency"
    zero_is_unknown: ClassVar = True

    def __init__(self, config: PersonalConfig | None = None) -> None:
        self.config = config or PersonalConfig()

    def _learn(self, events: Interactions) -> None:
        self._counts = events.counts(self.config.half_life_days)

    def scores(self, users: Rows) -> Floats:
        """See the interface."""
        return self._counts[users].toarray()
