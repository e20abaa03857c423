"""Who is ranked, and how thoroughly: a bounded queue in front of the ranking processes.

A request waits only as long as it can still be ranked within its deadline. Before that becomes impossible, requests are
ranked over fewer candidates; after that, they are not admitted, and are answered from a cheaper list.
"""

from __future__ import annotations

import asyncio
from collections import deque
from enum import StrEnum


class Tier(StrEnum):
    """How much was done for an answer, from the best on."""

    FULL = "full"
    FEWER_CANDIDATES = "fewer_candidates"
    CACHED = "cached"
    POPULAR = "popular"


_FIRST_GUESS = {Tier.FULL: 0.01, Tier.FEWER_CANDIDATES: 0.005}
"""Seconds of a request in a ranking process, until some were measured."""
_WEIGHT_OF_NEWEST = 0.05
_PLACES = 12
"""Requests let in per ranking process: one is ranked, the others read the store or stand at its door, so that it never
waits for a loop with much to do."""


class OverloadedError(Exception):
    """The request cannot be ranked within its deadline."""


class Admission:
    """Lets as many requests in as keep `processes` busy; the others wait in the order in which they came."""

    def __init__(self, processes: int, deadline_seconds: float) -> None:
        self._processes = processes
        self._free = _PLACES * processes
        self._deadline = deadline_seconds
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._seconds = dict(_FIRST_GUESS)

    def __len__(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    async def enter(self) -> Tier:
        """Wait for a place; `FULL` or `FEWER_CANDIDATES`. Whoever got one must `leave`. Raises OverloadedError."""
        if self._free and not self._waiting:
            self._free -= 1
            return Tier.FULL
        if self._wait_of(len(self._waiting) + 1, Tier.FEWER_CANDIDATES) > self._deadline:
            raise OverloadedError
        loop = asyncio.get_running_loop()
        place = loop.create_future()
        self._waiting.append(place)
        too_late = loop.call_later(self._deadline, _refuse, place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self.leave()  # it was given a place in the same moment
            raise
        finally:
            too_late.cancel()
        is_long = self._wait_of(len(self._waiting) + 1, Tier.FULL) > self._deadline / 2
        return Tier.FEWER_CANDIDATES if is_long else Tier.FULL

    def leave(self) -> None:
        """Give the place to who waits longest."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():  # neither given up nor refused
                place.set_result(None)
                return
        self._free += 1

    def took(self, tier: Tier, seconds: float) -> None:
        """A ranking process was busy for so long with a request of that tier."""
        self._seconds[tier] += _WEIGHT_OF_NEWEST * (seconds - self._seconds[tier])

    def _wait_of(self, waiting: int, tier: Tier) -> float:
        return waiting * self._seconds[tier] / self._processes


def _refuse(place: asyncio.Future[None]) -> None:
    if not place.done():
        place.set_exception(OverloadedError())
