"""Reads and writes of many users at once: one round trip each, with retries while the store is unavailable."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import redis

from headrace.errors import ServiceError
from headrace.features import rows as feature_rows
from headrace.features.online_store import (
    LIVE_FIELDS,
    WRITE_IF_NEWER,
    decode_live_row,
    live_key,
)
from headrace.features.user_row import user_row
from headrace.features.user_tower import TOWER_COLUMNS
from headrace.forgotten import FORGOTTEN_KEY
from headrace.settings.engines import StoreSettings
from jobs.streaming.known_user import KnownUser, known_user

READY_KEY = "headrace:stream:ready"
"""Key of the running job's id and release; refreshed by the job's heartbeat."""
WAITS_S = (0.1, 0.3, 1.0, 3.0)
"""Pauses before the retries; after the last one the task fails and Flink restarts it."""
_SECONDS_PER_DAY = 86_400
_SOCKET_TIMEOUT_S = 5.0

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class NewRow:
    """A live row about to be written: a `LiveRow` whose history is JSON already."""

    user_id: str
    release: str
    vector: npt.NDArray[np.float32]
    history_json: str
    event_timestamp: int
    count: int
    updated_at: int
    profile: str

    def arguments(self, ttl_seconds: int) -> list[Any]:
        """What `headrace.features.online_store.live_row_arguments` gives for the same row."""
        vector = self.vector.astype("<f4", copy=False).tobytes()
        return [
            self.release,
            vector,
            self.history_json,
            self.event_timestamp,
            self.count,
            self.updated_at,
            self.profile,
            ttl_seconds,
        ]


class UserStore:
    """The online store as the stream uses it. One connection, one thread."""

    def __init__(
        self, settings: StoreSettings, history_length: int, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = redis.Redis.from_url(
            settings.url, socket_timeout=_SOCKET_TIMEOUT_S, socket_connect_timeout=_SOCKET_TIMEOUT_S
        )
        self._url = settings.url
        self._ttl_s = settings.live_row_ttl_days * _SECONDS_PER_DAY
        self._history_length = history_length
        self._sleep = sleep
        self._fields = feature_rows.row_fields(feature_rows.USER_VIEW, TOWER_COLUMNS)
        self._script = ""

    def read(self, users: Sequence[str]) -> list[KnownUser]:
        """Each user's batch and live rows, merged; empty without rows. Raises ServiceError after the last retry."""
        return self._with_retries(lambda: self._read(users)) if users else []

    def write(self, rows: Sequence[NewRow]) -> None:
        """Write the rows, except over newer ones. Raises ServiceError after the last retry."""
        if rows:
            self._with_retries(lambda: self._write(rows))

    def forgotten(self) -> dict[str, int]:
        """Times of the forget requests (µs since 1970) by `subject_hash`. Raises ServiceError after the last retry."""
        asked: Any = self._with_retries(lambda: self._client.hgetall(FORGOTTEN_KEY))
        return {hashed.decode(): int(moment) for hashed, moment in asked.items()}

    def write_ready(self, text: str, seconds: int) -> None:
        """Write the readiness key, which expires after `seconds`."""
        self._with_retries(lambda: self._client.set(READY_KEY, text, ex=seconds))

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _read(self, users: Sequence[str]) -> list[KnownUser]:
        pipeline: Any = self._client.pipeline(transaction=False)
        for user in users:
            pipeline.hmget(feature_rows.row_key(feature_rows.USER_KEY, user), self._fields)
            pipeline.hmget(live_key(user), LIVE_FIELDS)
        answers = pipeline.execute()
        return [
            self._decode(user, batch, live)
            for user, batch, live in zip(users, answers[::2], answers[1::2], strict=True)
        ]

    def _decode(self, user: str, batch: Sequence[bytes | None], live: Sequence[bytes | None]) -> KnownUser:
        row = user_row(feature_rows.decode_row(TOWER_COLUMNS, batch), user, feature_rows.decode_time(batch[-1]) or 0)
        return known_user(row, decode_live_row(live), self._history_length)

    def _write(self, rows: Sequence[NewRow]) -> None:
        if not self._script:
            self._script = str(self._client.script_load(WRITE_IF_NEWER))
        pipeline: Any = self._client.pipeline(transaction=False)
        for row in rows:
            pipeline.evalsha(self._script, 1, live_key(row.user_id), *row.arguments(self._ttl_s))
        pipeline.execute()

    def _with_retries(self, call: Callable[[], Answer]) -> Answer:
        for wait in WAITS_S:
            try:
                return call()
            except redis.RedisError:
                self._script = ""  # a restarted store has lost it
                self._sleep(wait)
        try:
            return call()
        except redis.RedisError as error:
            raise ServiceError(
                f"the online store at {self._url} failed {len(WAITS_S) + 1} times: {error}",
                "The job continues from its last checkpoint when the store is available again",
            ) from error
