"""A person in the online store: the rows are deleted, and the files that the store keeps are written anew."""

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
_LOOK_AGAIN_S = 0.1
_BUSY = ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress")


def connected(settings: Settings) -> redis.Redis:
    """The online store. Raises ServiceError where it does not answer."""
    store = redis.Redis.from_url(settings.store.url, socket_timeout=_TIMEOUT_S)
    try:
        store.ping()
    except redis.RedisError as error:
        raise ServiceError(
            f"the online store at {settings.store.url} does not answer ({type(error).__name__})",
            "Start it with `headrace up`, or set HEADRACE_STORE__URL; nothing was removed yet",
        ) from None
    return store


def mark_forgotten(store: redis.Redis, asked: Requests) -> None:
    """Let the stream know of the requests, and of no others: those whose time has passed are taken off."""
    with store.pipeline() as together:
        together.delete(FORGOTTEN_KEY)
        if asked:
            together.hset(FORGOTTEN_KEY, mapping={hashed: microseconds(at) for hashed, at in asked.items()})
        together.execute()


def remove_online(store: redis.Redis, subjects: Iterable[str]) -> int:
    """Delete the batch row and the live row of each subject; how many there were."""
    keys = [key for subject in subjects for key in _keys(subject)]
    return sum(bool(store.delete(key)) for key in keys)  # one by one: in a cluster they live apart


def renew_files(store: redis.Redis, settings: Settings, sleep: Callable[[float], None] = time.sleep) -> None:
    """Let the store write its log (and its dump, where there is one) anew, and wait until the old files are gone.

    Without compression, so that ids can be looked for. A managed store does all that by itself, and refuses CONFIG.
    """
    with suppress(redis.RedisError):
        store.config_set("rdbcompression", "no")
        config: Any = store.config_get("*")
        kept, dumped = config["appendonly"] == "yes", bool(config["save"])
        dumped = dumped or any(_folder(settings).glob("*.rdb"))
        for command in ["BGREWRITEAOF"] * kept + ["BGSAVE"] * dumped:
            _wait_until_idle(store, sleep)  # one that is under way began before the keys were gone
            store.execute_command(command)  # type: ignore[no-untyped-call]
            _wait_until_idle(store, sleep)


def _wait_until_idle(store: redis.Redis, sleep: Callable[[float], None]) -> None:
    for _ in range(round(_REWRITE_S / _LOOK_AGAIN_S)):
        state = _state(store)
        if not any(state.get(name) for name in _BUSY):
            return
        sleep(_LOOK_AGAIN_S)


def _state(store: redis.Redis) -> dict[str, Any]:
    return dict(store.info("persistence"))  # type: ignore[arg-type]


def found_online(store: redis.Redis, subjects: Iterable[str]) -> list[str]:
    """The keys of the subjects that are there: of all keys, those that hold one of the ids where ids are."""
    wanted = {key: f"{kind} row of {subject}" for subject in subjects for key, kind in _keys(subject).items()}
    return sorted(wanted[key] for key in store.scan_iter(count=1000) if key in wanted)


def found_in_files_of_store(settings: Settings, subjects: Sequence[str]) -> dict[str, str]:
    """By file of a store that is kept below home, in what form it names one of the subjects' keys.

    Its log of writes holds keys as text with the length before it, its dump with one or two bytes of length; the
    contents of other rows name nobody.
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
