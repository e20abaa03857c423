"""The rows of a user in the online store, and how they are read and written.

Two hashes a user: the *feature row* that the batch side materialises in the feature store's format
(`headrace.features.rows`), and the *live row* that the stream writes: `headrace:live:<user>` with `release`, `vector`
(float32, little-endian), `history` (JSON), `event_timestamp` (µs of the newest event), `count`, `updated_at` (µs) and
`profile` (fingerprint).
Serving reads both in one round trip.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.features import rows as feature_rows
from headrace.features.user_row import HistoryEvent, UserRow, profile_fingerprint, user_row
from headrace.tables import GOLD_USER_FEATURES

LIVE_FIELDS = ("release", "vector", "history", "event_timestamp", "count", "updated_at", "profile")
USER_FEATURES = feature_rows.feature_names(GOLD_USER_FEATURES.schema)
_USER_FIELDS = feature_rows.row_fields(feature_rows.USER_VIEW, USER_FEATURES)

WRITE_IF_NEWER = """
local old = redis.call('HMGET', KEYS[1], 'release', 'event_timestamp', 'count')
if old[1] == ARGV[1] and old[2] then
  local time, new_time = tonumber(old[2]), tonumber(ARGV[4])
  if new_time < time or (new_time == time and tonumber(ARGV[5]) < tonumber(old[3])) then return 0 end
end
redis.call('HSET', KEYS[1], 'release', ARGV[1], 'vector', ARGV[2], 'history', ARGV[3], 'event_timestamp', ARGV[4],
  'count', ARGV[5], 'updated_at', ARGV[6], 'profile', ARGV[7])
redis.call('EXPIRE', KEYS[1], ARGV[8])
return 1
"""
"""Compare and set: a row of the same release is replaced only by one that is at least as new by (event time, count)."""


@dataclass(frozen=True)
class LiveRow:
    """The stream's view of one user."""

    release: str
    """Release whose user tower computed `vector`; a vector is never compared with another release's index."""
    vector: npt.NDArray[np.float32]
    history: list[HistoryEvent]
    """The merged history that the vector was computed from, oldest first."""
    event_timestamp: int
    """Microseconds since 1970 of the newest event."""
    count: int
    """Live events counted so far, this one included: orders two writes with the same event time."""
    updated_at: int
    """Microseconds since 1970 when it was written."""
    profile: str
    """`profile_fingerprint` of the profile that the vector was computed from."""

    def holds_vector_of(self, release: str, history: Sequence[HistoryEvent], profile: Mapping[str, str]) -> bool:
        """Whether `vector` is what the release's tower makes of this history and profile: all that it reads."""
        return self.release == release and self.history == history and self.profile == profile_fingerprint(profile)


def live_key(user_id: str) -> str:
    """Key of a user's live row."""
    return f"headrace:live:{user_id}"


def live_row_arguments(row: LiveRow, ttl_seconds: int) -> list[Any]:
    """Arguments of `WRITE_IF_NEWER`; its only key is `live_key(user_id)`."""
    return [
        row.release,
        row.vector.astype("<f4").tobytes(),
        json.dumps(row.history, separators=(",", ":")),
        row.event_timestamp,
        row.count,
        row.updated_at,
        row.profile,
        ttl_seconds,
    ]


def decode_live_row(raw: Sequence[bytes | None]) -> LiveRow | None:
    """The live row from `HMGET live_key *LIVE_FIELDS`; None where there is none."""
    release, vector, history, event_timestamp, count, updated_at, profile = raw
    if release is None or vector is None or history is None:
        return None
    return LiveRow(
        release=release.decode(),
        vector=np.frombuffer(vector, "<f4"),
        history=[HistoryEvent(*event) for event in json.loads(history)],
        event_timestamp=int(event_timestamp or 0),
        count=int(count or 0),
        updated_at=int(updated_at or 0),
        profile=(profile or b"").decode(),
    )


def queue_user_read(pipeline: Any, user_id: str) -> None:
    """Queue the two reads of one user on a redis pipeline (sync or asyncio); `decode_user` takes the two answers."""
    pipeline.hmget(feature_rows.row_key(feature_rows.USER_KEY, user_id), _USER_FIELDS)
    pipeline.hmget(live_key(user_id), LIVE_FIELDS)


def decode_user(
    user_id: str, features: Sequence[bytes | None], live: Sequence[bytes | None]
) -> tuple[UserRow, LiveRow | None]:
    """The batch row (empty, `as_of` 0, where there is none) and the live row of one user."""
    return decode_feature_row(user_id, features), decode_live_row(live)


def decode_feature_row(user_id: str, features: Sequence[bytes | None]) -> UserRow:
    """The batch row from `HMGET row_key(USER_KEY, user_id) *user_feature_fields()`."""
    as_of = feature_rows.decode_time(features[-1]) or 0
    return user_row(feature_rows.decode_row(USER_FEATURES, features), user_id, as_of)


def user_feature_fields() -> list[bytes]:
    """Fields of the batch row, the time last."""
    return list(_USER_FIELDS)
