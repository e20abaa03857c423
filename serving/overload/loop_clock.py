"""A clock that stands still while the event loop does: waiting for others is measured by it.

A loop that was held for 200 ms, by its own work or by a machine with too much to do, has not given anybody 200 ms to
answer: what came in was not looked at. So only the time between two ticks that were not late counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from serving.log.metrics import LOOP_LAG

TICK_SECONDS = 0.005
_LATE_SECONDS = 0.0075
"""A tick that comes so long after the last one was held up."""
_TICKS_PER_OBSERVATION = 20


class LoopClock:
    """Ticks on the running loop: knows how long it was held, and measures how late it is, ten times a second."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._held = self._latest = 0.0
        self._ticks = 0
        self._ticked_at = monotonic()
        self._next = self._loop.call_later(TICK_SECONDS, self._tick)

    def seconds(self) -> float:
        """Time by this clock; only differences mean anything."""
        return monotonic() - self.held()

    def held(self) -> float:
        """Seconds so far in which the loop was held."""
        since_tick = monotonic() - self._ticked_at
        return self._held + (since_tick if since_tick > _LATE_SECONDS else 0.0)

    @asynccontextmanager
    async def timeout(self, seconds: float) -> AsyncIterator[None]:
        """Raises TimeoutError if the block takes longer than `seconds` of this clock."""
        timer: asyncio.TimerHandle
        until = self.seconds() + seconds

        def look() -> None:
            nonlocal timer
            if (left := until - self.seconds()) > 0:
                timer = self._loop.call_later(max(left, 0.001), look)
            else:
                limit.reschedule(self._loop.time())

        timer = self._loop.call_later(seconds, look)
        async with asyncio.timeout(None) as limit:
            try:
                yield
            finally:
                timer.cancel()

    def stop(self) -> None:
        """No more ticks."""
        self._next.cancel()

    def _tick(self) -> None:
        now = monotonic()
        since_tick = now - self._ticked_at
        if since_tick > _LATE_SECONDS:
            self._held += since_tick
        self._ticked_at = now
        self._latest = max(self._latest, since_tick - TICK_SECONDS)
        self._ticks += 1
        if self._ticks % _TICKS_PER_OBSERVATION == 0:
            LOOP_LAG.observe(self._latest)
            self._latest = 0.0
        self._next = self._loop.call_later(TICK_SECONDS, self._tick)
