"""A user's rows in the online store: they are deleted, and the store's files are rewritten."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis

from headrace.errors import ServiceError
from headrace.features import rows as feature_rows
from headrace.features.online_store import live_key
from headrace.forgotten import FORGOTTEN_KEY
from headrace.settings import Settings
from headrace.tables import microseconds
from jobs.batch.engine.personal_rows import Requests
from jobs.batch.keeping.forget_state import contains

_TIMEOUT_S = 10.0
_REWRITE_S = 600.0
_POLL_S = 0.1
_BUSY = ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress")


def connected(settings: Settings) -> redis.Redis:
    """The online store. Raises ServiceError where it is not reachable."""
    store = redis.Redis.from_url(settings.store.url, socket_timeout=_TIMEOUT_S)
    try:
        store.ping()
    except redis.RedisError as error:
        raise ServiceError(
            f"the online store at {settings.store.url} is not reachable ({type(error).__name__})",
            "Start it with `headrace up`, or set HEADRACE_STORE__URL; nothing was removed",
        ) from None
    return store


def mark_forgotten(store: redis.Redis, asked: Requests) -> None:
    """Publish the requests to the stream; expired ones are removed."""
    with store.pipeline() as pipeline:
        pipeline.delete(FORGOTTEN_KEY)
        if asked:
            pipeline.hset(FORGOTTEN_KEY, mapping={hashed: microseconds(at) for hashed, at in asked.items()})
        pipeline.execute()


def remove_online(store: redis.Redis, subjects: Iterable[str]) -> int:
    """Delete the batch row and the live row of each subject; returns the number of deleted rows."""
    keys = [key for subject in subjects for key in _keys(subject)]
    return sum(bool(store.delete(key)) for key in keys)  # one by one: in a cluster they are on different nodes


def renew_files(store: redis.Redis, settings: Settings, sleep: Callable[[float], None] = time.sleep) -> None:
    """Make the store rewrite its log (and its dump, where there is one), and wait until the old files are gone.

    Without compression, so that ids can be searched. A managed store does this by itself, and refuses CONFIG.
    """
    with suppress(redis.RedisError):
        store.config_set("rdbcompression", "no")
        config: Any = store.config_get("*")
        kept, dumped = config["appendonly"] == "yes", bool(config["save"])
        dumped = dumped or any(_folder(settings).glob("*.rdb"))
        for command in ["BGREWRITEAOF"] * kept + ["BGSAVE"] * dumped:
            _wait_until_idle(store, sleep)  # a running one started before the keys were deleted
            store.execute_command(command)  # type: ignore[no-untyped-call]
            _wait_until_idle(store, sleep)


def _wait_until_idle(store: redis.Redis, sleep: Callable[[float], None]) -> None:
    for _ in range(round(_REWRITE_S / _POLL_S)):
        state = _state(store)
        if not any(state.get(name) for name in _BUSY):
            return
        sleep(_POLL_S)


def _state(store: redis.Redis) -> dict[str, Any]:
    return dict(store.info("persistence"))  # type: ignore[arg-type]


def found_online(store: redis.Redis, subjects: Iterable[str]) -> list[str]:
    """The existing keys of the subjects, found by a scan of all keys."""
    wanted = {key: f"{kind} row of {subject}" for subject in subjects for key, kind in _keys(subject).items()}
    return sorted(wanted[key] for key in store.scan_iter(count=1000) if key in wanted)


def found_in_files_of_store(settings: Settings, subjects: Sequence[str]) -> dict[str, str]:
    """Files of a store below home that contain one of the subjects' keys.

    Its append-only log has keys as text after their length, its dump after one or two bytes of length; the contents
    of other rows have no user ids.
    """
    needles = [form for subject in subjects for key in _keys(subject) for form in (_in_log(key), _in_dump(key))]
    files = (path for path in _folder(settings).rglob("*") if path.suffix in (".aof", ".rdb"))
    return {str(path): "a key" for path in sorted(files) if any(contains(path, needle) for needle in needles)}


def _folder(settings: Settings) -> Path:
    return settings.home_folder / "valkey"


def _in_log(key: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(key), key)


def _in_dump(key: bytes) -> bytes:
    length = len(key)
    return (bytes([length]) if length < 64 else bytes([0x40 | length >> 8, length & 0xFF])) + key


def _keys(subject: str) -> dict[bytes, str]:
    return {feature_rows.row_key(feature_rows.USER_KEY, subject): "batch", live_key(subject).encode(): "live"}
