"""How fast cheaper lists are given: what is answered without ranking must not crowd out what is ranked.

A cheaper answer costs a fraction of a ranked one, but under overload there are many, and each lets its asker ask again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic, process_time

_TURN_SECONDS = 0.005
_FIRST_QUOTA = 5.0
_LEAST_QUOTA, _LARGEST_QUOTA = 2.0, 10.0
"""Answers of one turn: no more than a few milliseconds of the loop's time, whatever the machine does meanwhile."""
_MORE, _LESS = 1.2, 0.7
"""What a turn's quota is multiplied by after a turn that left time over, and after one that took too much."""


class QueueFullError(Exception):
    """More requests wait for a cheaper list than may, or for longer than they may."""


class Pace:
    """Lets through as many as keep this process within `share` of a core.

    At most `most` wait, each for at most `longest` seconds.
    """

    def __init__(
        self,
        share: float,
        most: int,
        longest: float,
        clock: Callable[[], float] = monotonic,
        cpu_clock: Callable[[], float] = process_time,
    ) -> None:
        self._share = share
        self._most = most
        self._longest = longest
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._waiting: deque[tuple[asyncio.Future[None], float]] = deque()
        self._quota = _FIRST_QUOTA
        self._is_taking_turns = False

    def __len__(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    async def turn(self) -> None:
        """Wait until there is time for it. Raises QueueFullError."""
        if len(self._waiting) >= self._most:
            raise QueueFullError
        loop = asyncio.get_running_loop()
        mine = loop.create_future()
        self._waiting.append((mine, self._clock() + self._longest))
        if not self._is_taking_turns:
            self._is_taking_turns = True
            self._let_in(loop, self._cpu_clock(), self._clock())
        await mine

    def _let_in(self, loop: asyncio.AbstractEventLoop, cpu: float, now: float) -> None:
        left = int(self._quota)
        while self._waiting and (left or self._waiting[0][1] < now):
            one, until = self._waiting.popleft()
            if one.done():  # given up
                continue
            if until < now:
                one.set_exception(QueueFullError())
            else:
                one.set_result(None)
                left -= 1
        loop.call_later(_TURN_SECONDS, self._next_turn, loop, cpu, now)

    def _next_turn(self, loop: asyncio.AbstractEventLoop, cpu_before: float, before: float) -> None:
        if not self._waiting:
            self._is_taking_turns = False
            return
        cpu, now = self._cpu_clock(), self._clock()
        has_time = cpu - cpu_before < self._share * (now - before)
        self._quota = min(self._quota * _MORE, _LARGEST_QUOTA) if has_time else max(self._quota * _LESS, _LEAST_QUOTA)
        self._let_in(loop, cpu, now)
