"""A clock that stands still while the event loop does: waiting for others is measured by it.

A loop that was held for 200 ms, by its own work or by a machine with too much to do, has not given anybody 200 ms to
answer: what came in was not looked at.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from serving.metrics import LOOP_LAG

TICK_SECONDS = 0.01
_TOLERATED_SECONDS = 0.005
"""A tick may be so late before the loop counts as held."""


class LoopClock:
    """Ticks on the running loop: counts the time in which it was free, and measures how late it is."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._counted = 0.0
        self._ticked_at = monotonic()
        self._next = self._loop.call_later(TICK_SECONDS, self._tick)

    def seconds(self) -> float:
        """Time so far in which the loop was free."""
        return self._counted + min(monotonic() - self._ticked_at, TICK_SECONDS + _TOLERATED_SECONDS)

    @asynccontextmanager
    async def timeout(self, seconds: float) -> AsyncIterator[None]:
        """Raises TimeoutError if the block takes longer than `seconds` of this clock."""
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
        self._counted = self.seconds()
        now = monotonic()
        LOOP_LAG.observe(max(now - self._ticked_at - TICK_SECONDS, 0.0))
        self._ticked_at = now
        self._next = self._loop.call_later(TICK_SECONDS, self._tick)
