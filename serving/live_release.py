"""The release that answers requests: loaded and warmed beside the old one, then swapped in one step."""

from __future__ import annotations

import asyncio
import gc
import logging
from pathlib import Path
from time import monotonic, time

from headrace.errors import HeadraceError, ServiceError
from headrace.release.bundle import read_manifest
from headrace.release.registry import resolve_release
from headrace.settings import Settings
from serving.metrics import RELEASE_LOADED, RELEASES_REFUSED
from serving.recommender import Recommender, load_recommender

LOG = logging.getLogger(__name__)


class LiveRelease:
    """Follows the champion. A release that does not load is refused whole and the live one stays."""

    def __init__(self, settings: Settings, retry_refused_seconds: float = 60.0) -> None:
        self._settings = settings
        self._retry_refused_seconds = retry_refused_seconds
        self.recommender: Recommender | None = None
        self.reason = "the release is being loaded"
        """Why there is no recommender yet, or what kept the newest release from going live; empty if nothing did."""
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
            loaded = await asyncio.to_thread(self._load_if_new)
        except Exception as error:  # whatever a broken bundle raises, the live release goes on
            self._refuse(error)
            return
        if loaded is not None:
            self.recommender = loaded
            self.reason = ""
            RELEASE_LOADED.set(time())
            LOG.info("release %s is live", loaded.release.release_id)

    def _load_if_new(self) -> Recommender | None:
        folder = resolve_release(self._settings)
        wanted = (folder, read_manifest(folder).content_hash)
        live = self.recommender
        if live is not None and wanted == (live.release.folder, live.release.manifest.content_hash):
            self.reason, self._refused = "", None
            return None
        if wanted == self._refused and monotonic() - self._refused_at < self._retry_refused_seconds:
            return None
        self._refused, self._refused_at = wanted, monotonic()  # until it proves good
        serving = self._settings.serving
        recommender = load_recommender(folder, serving.candidates, serving.max_per_category, serving.ranker_precision)
        recommender.warm()
        gc.freeze()  # a full collection would walk every item of the catalogue in the middle of a request
        self._refused = None
        return recommender

    def _refuse(self, error: Exception) -> None:
        reason = str(error) if isinstance(error, HeadraceError) else f"{type(error).__name__}: {error}"
        if reason != self.reason:
            LOG.error("no new release: %s", reason, exc_info=not isinstance(error, HeadraceError))
            if not isinstance(error, ServiceError):  # a registry that is away says nothing about a release
                RELEASES_REFUSED.inc()
        self.reason = reason
