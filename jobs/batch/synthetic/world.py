"""The size and the calendar of a synthetic world: which users and items exist when, and the day of each visit.

Users and items are numbers. The first ones exist from the start, the later ones (`NEW_USERS`, `NEW_ITEMS`) appear
one after another, evenly over the period. Times are whole seconds since the period's first midnight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from headrace.errors import BadInputError
from jobs.batch.synthetic.draws import Draws, Ints, zipf_rank

DAY_S = 86_400
EVENTS_PER_VISIT = 20
"""Every visit makes exactly so many events (the very last one fewer), so that event n belongs to visit n // 20."""
LIST_LENGTH = 8
"""Items that a visit shows; item number modulo this is the item's *lane*, and each list has one item of each lane."""
LONGEST_VISIT_S = 3_600
NEW_ITEMS = 0.2
NEW_USERS = 0.3
ANONYMOUS = 0.06
FEWEST_ITEMS = 100
USER_SKEW = 0.6
"""Exponent of the activity of the users that exist from the start; new ones are equally active."""
_WEEK = (0.95, 0.85, 0.9, 0.95, 1.05, 1.25, 1.15)  # Monday first
_YEAR_SWING, _YEAR_PEAK = 0.3, 350  # busiest in mid-December
_DAY_SWING, _DAY_PEAK = 0.6, 0.75  # busiest at 18:00 UTC


@dataclass(frozen=True)
class World:
    """Parameters of a world; equal parameters give equal rows."""

    users: int
    items: int
    events: int
    seed: int
    end: date
    """Last day with events."""
    days: int = 365

    def __post_init__(self) -> None:
        for name, least in (("users", 10), ("items", FEWEST_ITEMS), ("events", 1), ("days", 1)):
            if getattr(self, name) < least:
                raise BadInputError(
                    f"--{name} {getattr(self, name)}: a world needs at least {least}", "Use a larger number"
                )

    @cached_property
    def draws(self) -> Draws:
        """The world's random numbers."""
        return Draws(self.seed)

    @property
    def start(self) -> datetime:
        """The first midnight of the period."""
        first = self.end - timedelta(days=self.days - 1)
        return datetime(first.year, first.month, first.day, tzinfo=UTC)

    @property
    def visits(self) -> int:
        """Number of visits."""
        return -(-self.events // EVENTS_PER_VISIT)

    @property
    def first_items(self) -> int:
        """Items that exist from the start."""
        return self.items - int(self.items * NEW_ITEMS)

    @property
    def first_users(self) -> int:
        """Users that exist from the start."""
        return self.users - int(self.users * NEW_USERS)

    @property
    def leaves(self) -> int:
        """Narrowest categories."""
        return min(max(self.first_items // (4 * LIST_LENGTH), 1), 240)

    @cached_property
    def first_visits(self) -> Ints:
        """Number of the first visit of each day, and at the end the number of all visits."""
        dates = [self.start + timedelta(days=n) for n in range(self.days)]
        weights = [_WEEK[d.weekday()] * (1 + _YEAR_SWING * _year_wave(d)) for d in dates]
        shares = np.concatenate([[0.0], np.cumsum(weights)]) / sum(weights)
        return np.rint(shares * self.visits).astype(np.int64)

    def visit_seconds(self, visit: Ints) -> Ints:
        """Start times of visits; early enough in the day that all their events are on the same UTC day."""
        day = np.searchsorted(self.first_visits, visit, side="right") - 1
        first, after = self.first_visits[day], self.first_visits[day + 1]
        quantile = (visit - first + self.draws.uniform("visit/time", visit)) / (after - first)
        wave = quantile + _DAY_SWING / (2 * np.pi) * np.sin(2 * np.pi * quantile)  # slowest, so densest, at 1/2
        part = (wave + _DAY_PEAK - 0.5) % 1.0
        return np.asarray(day * DAY_S + (part * (DAY_S - LONGEST_VISIT_S)).astype(np.int64), dtype=np.int64)

    def new_items_at(self, seconds: Ints) -> Ints:
        """Number of new items that exist."""
        return _appeared(seconds, self.items - self.first_items, self.days)

    def item_appears(self, item: ArrayLike) -> Ints:
        """Second from which an item exists; 0 for those that exist from the start."""
        return _appears(np.asarray(item) - self.first_items, self.items - self.first_items, self.days)

    def user_appears(self, user: ArrayLike) -> Ints:
        """The same for users."""
        return _appears(np.asarray(user) - self.first_users, self.users - self.first_users, self.days)

    def visitors(self, visit: Ints, seconds: Ints) -> Ints:
        """The visitor: a user's number, or −1 − visit for an anonymous one."""
        new = _appeared(seconds, self.users - self.first_users, self.days)
        is_new = self.draws.uniform("visit/new", visit) < new / (self.first_users + new)
        newcomer = self.first_users + self.draws.below(np.maximum(new, 1), "visit/newcomer", visit)
        regular = zipf_rank(self.draws.uniform("visit/regular", visit), self.first_users, USER_SKEW)
        anonymous = self.draws.uniform("visit/anonymous", visit) < ANONYMOUS
        return np.where(anonymous, -1 - visit, np.where(is_new, newcomer, regular))


def lane_size(count: ArrayLike, lane: ArrayLike, step: int = LIST_LENGTH) -> Ints:
    """Number of the integers 0 to `count` − 1 that are `lane` modulo `step`."""
    return np.asarray((np.asarray(count) - np.asarray(lane) + step - 1) // step, dtype=np.int64)


def _year_wave(day: datetime) -> float:
    return math.cos(2 * math.pi * (day.timetuple().tm_yday - _YEAR_PEAK) / 365.25)


def _appeared(seconds: Ints, new: int, days: int) -> Ints:
    return np.clip(seconds * (new + 1) // (days * DAY_S), 0, new)


def _appears(index: Ints, new: int, days: int) -> Ints:
    """The first second at which `_appeared` counts the new one at `index`."""
    second = -(-(index + 1) * (days * DAY_S) // (new + 1))
    return np.where(index < 0, 0, second).astype(np.int64)
