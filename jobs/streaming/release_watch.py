"""The tower of the live release, changed while the job runs when another release becomes champion."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.features.user_tower import load_user_tower
from headrace.release.bundle import ITEMS, open_release
from headrace.release.catalogue import read_arrow
from jobs.streaming.live_users import ReleaseTower

CHECK_S = 5.0
"""Interval at which the live release is checked."""
_LOG = logging.getLogger(__name__)


def load_tower(folder: Path) -> ReleaseTower:
    """The verified release's tower, warmed by one call. Raises ReleaseError if the bundle is broken."""
    release = open_release(folder)
    item_ids = read_arrow(release, ITEMS).column("item_id").to_pylist()
    tower = load_user_tower(release, {item: row for row, item in enumerate(item_ids)})
    tower.vectors([[]], [{}])
    return ReleaseTower(release.release_id, tower)


class ReleaseWatch:
    """Holds the current tower; `start` checks for another release periodically without stopping the stream."""

    def __init__(self, resolve: Callable[[], Path], load: Callable[[Path], ReleaseTower] = load_tower) -> None:
        """Raises HeadraceError if there is no release yet or the first one is broken."""
        self._resolve = resolve
        self._load = load
        self._folder = resolve()
        self._current = load(self._folder)
        self._last_error = ""
        self._ended = threading.Event()

    def current(self) -> ReleaseTower:
        """The tower to use now."""
        return self._current

    def check(self) -> None:
        """Load another release if one is live and complete; keep the old one, with one log line, if it is refused."""
        try:
            folder = self._resolve()
            if folder != self._folder:
                self._current, self._folder = self._load(folder), folder
                _LOG.info("release %s is live now", self._current.release_id)
            self._last_error = ""
        except (HeadraceError, OSError) as error:
            if str(error) != self._last_error:
                self._last_error = str(error)
                _LOG.warning("keeping release %s: %s", self._current.release_id, error)

    def start(self) -> None:
        """Check every `CHECK_S` seconds, in its own thread, until `close`."""
        threading.Thread(target=self._check_until_closed, name="release-watch", daemon=True).start()

    def close(self) -> None:
        """Stop checking."""
        self._ended.set()

    def _check_until_closed(self) -> None:
        while not self._ended.wait(CHECK_S):
            self.check()
