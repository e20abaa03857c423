"""The one read of the online store per request, and what happens while the store is unavailable."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from headrace.features.online_store import queue_user_read
from headrace.settings.engines import StoreSettings
from serving.log.metrics import STORE_FAILURES
from serving.overload.admission import OverloadedError
from serving.overload.loop_clock import LoopClock
from serving.processes.ranking_messages import StoredRows

LOG = logging.getLogger(__name__)

TOLERATED_TIMEOUTS = 3
PAUSE_SECONDS = 1.0


class StoreAwayError(Exception):
    """The row could not be read; the message says why in a few words."""


class Breaker:
    """Stops asking a store that does not answer: one request per pause tries again, the others do not wait.

    A refused connection opens it at once, timeouts only after `TOLERATED_TIMEOUTS` at distinct moments: of reads that
    were under way together, all of which fail together, one counts.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._failed_at = float("-inf")
        self._closed_until = 0.0

    def allows(self) -> bool:
        """Whether to ask the store now."""
        if self._failures < TOLERATED_TIMEOUTS:
            return True
        if self._clock() < self._closed_until:
            return False
        self._closed_until = self._clock() + PAUSE_SECONDS
        return True

    def now(self) -> float:
        """The moment to hand to `failed`, taken when a read begins."""
        return self._clock()

    def succeeded(self) -> None:
        """The store answered."""
        self._failures = 0

    def failed(self, began: float, *, certain: bool) -> None:
        """The store did not answer a read that began at `began`; `certain` if nothing listens at its address."""
        if began < self._failed_at and not certain:
            return
        self._failed_at = self._clock()
        self._failures = TOLERATED_TIMEOUTS if certain else self._failures + 1
        if self._failures >= TOLERATED_TIMEOUTS:
            self._closed_until = self._clock() + PAUSE_SECONDS


class UserStore:
    """Reads user rows from Valkey or Redis. Its time is that of `clock`, in which a held loop does not count."""

    def __init__(self, settings: StoreSettings, clock: LoopClock, breaker: Breaker | None = None) -> None:
        self._timeout = settings.timeout_ms / 1000
        self.clock = clock
        self._client = redis.Redis.from_url(
            settings.url,
            lib_name=None,  # to introduce itself costs two round trips a connection
            lib_version=None,
            # Once, at once: the pooled connections are dead after a restart of the store, the store is not.
            retry=Retry(NoBackoff(), 1),
            retry_on_error=[RedisConnectionError],
        )
        self._breaker = breaker or Breaker()

    async def read(self, user_id: str) -> StoredRows:
        """The batch row and the live row of a user, in one round trip.

        Raises StoreAwayError; OverloadedError if it took too long while the loop was held for longer than it was free.
        """
        if not self._breaker.allows():
            raise StoreAwayError("online store unavailable")
        pipeline = self._client.pipeline(transaction=False)
        queue_user_read(pipeline, user_id)
        began = self._breaker.now()
        held_before = self.clock.held()
        try:
            async with self.clock.timeout(self._timeout):
                features, live = await pipeline.execute()
        except TimeoutError:
            if self.clock.held() - held_before > self._timeout:  # nobody knows who is late
                STORE_FAILURES.labels("unclear").inc()
                raise OverloadedError from None
            self._breaker.failed(began, certain=False)
            STORE_FAILURES.labels("timeout").inc()
            raise StoreAwayError("online store too slow") from None
        except (RedisError, OSError) as error:
            self._breaker.failed(began, certain=True)
            STORE_FAILURES.labels("away").inc()
            LOG.warning("online store: %s", error)
            raise StoreAwayError("online store unavailable") from None
        self._breaker.succeeded()
        return StoredRows(features, live)

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()
