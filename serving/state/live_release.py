"""The release that answers requests: loaded and warmed by new processes beside the old, then swapped in one step."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from time import monotonic, time

from headrace.errors import HeadraceError, ServiceError
from headrace.settings import Settings
from serving.log.metrics import RELEASE_LOADED, RELEASES_REFUSED
from serving.processes.ranking_processes import RankingProcesses, load_release
from serving.processes.worker_process import ProcessEndedError, WorkerProcess, start_process

LOG = logging.getLogger(__name__)


class LiveRelease:
    """Follows the champion. A release that does not load is refused whole and the live one stays."""

    def __init__(self, settings: Settings, retry_refused_seconds: float = 60.0) -> None:
        self._settings = settings
        self._retry_refused_seconds = retry_refused_seconds
        self.ranking: RankingProcesses | None = None
        self.reason = "the release is being loaded"
        """Why there is no release yet, or what kept the newest one from going live; empty if nothing did."""
        self._watcher: WorkerProcess | None = None
        self._refused: tuple[Path, str] | None = None
        self._refused_at = 0.0

    async def watch(self) -> None:
        """Look for the champion for ever, loading each new one."""
        while True:
            await self.follow()
            await asyncio.sleep(self._settings.serving.watch_seconds)

    async def follow(self) -> None:
        """Look once; load what is new."""
        try:
            loaded = await self._load_if_new()
        except Exception as error:  # whatever a broken bundle raises, the live release goes on
            self._refuse(error)
            return
        if loaded is not None:
            old, self.ranking = self.ranking, loaded
            self.reason = ""
            RELEASE_LOADED.set(time())
            LOG.info("release %s is live", loaded.loaded.release_id)
            if old is not None:
                old.close()

    async def stop(self) -> None:
        """End all processes."""
        if self._watcher is not None:
            await self._watcher.stop()
        if self.ranking is not None:
            await self.ranking.stop()

    async def _load_if_new(self) -> RankingProcesses | None:
        wanted = await self._wanted()
        live = self.ranking
        if live is not None and wanted == (live.folder, live.loaded.content_hash):
            self.reason, self._refused = "", None
            return None
        if wanted == self._refused and monotonic() - self._refused_at < self._retry_refused_seconds:
            return None
        self._refused, self._refused_at = wanted, monotonic()  # until it proves good
        loaded = await load_release(wanted[0], self._settings)
        self._refused = None
        return loaded

    async def _wanted(self) -> tuple[Path, str]:
        if self._watcher is None or self._watcher.ended:
            self._watcher = await start_process(
                "serving.processes.release_watcher",
                ready=int,
                answers=tuple[str, str],
                environment=self._settings.as_environment(),
            )
        folder, content_hash = await self._watcher.call(None)
        return Path(folder), content_hash

    def _refuse(self, error: Exception) -> None:
        reason = str(error) if isinstance(error, HeadraceError) else f"{type(error).__name__}: {error}"
        if isinstance(error, ProcessEndedError):
            reason = "the process that loads it ended before it was ready: see the log"
        if reason != self.reason:
            LOG.error("no new release: %s", reason, exc_info=not isinstance(error, HeadraceError | ProcessEndedError))
            if not isinstance(error, ServiceError):  # an unavailable registry says nothing about a release
                RELEASES_REFUSED.inc()
        self.reason = reason
