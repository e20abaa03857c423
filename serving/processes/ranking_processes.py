"""The ranking processes of one release, as the event loop sees them: the least busy is asked, a lost one replaced."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from headrace.settings import Settings
from serving.processes.ranking_messages import LoadedRelease, RankedItems, RankingRequest
from serving.processes.worker_process import ProcessEndedError, WorkerProcess, start_process

LOG = logging.getLogger(__name__)
_RESTART_SECONDS = 2.0


class RankingProcesses:
    """Made by `load_release`."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self._settings = settings
        self._environment = settings.as_environment()
        self._processes: list[WorkerProcess] = []
        self._restarts: set[asyncio.Task[None]] = set()
        self._closed = False
        self.loaded: LoadedRelease

    async def start(self) -> None:
        """Start all and wait until they are warm. Raises ReleaseError if one refuses the release."""
        try:
            await asyncio.gather(*(self._start_one() for _ in range(self._settings.serving.ranking_processes)))
        except BaseException:
            await self.stop()
            raise

    async def rank(self, request: RankingRequest) -> RankedItems | None:
        """What `RankingProcess.answer` returns. Raises ProcessEndedError while no process runs, or if it ends."""
        if not self._processes:
            raise ProcessEndedError
        answer: RankedItems | None = await min(self._processes, key=len).call(request)
        return answer

    def close(self) -> None:
        """End the processes once they have answered everything."""
        self._closed = True
        for process in self._processes:
            process.close()

    async def stop(self) -> None:
        """End the processes now."""
        self._closed = True
        for task in self._restarts:
            task.cancel()
        await asyncio.gather(*(process.stop() for process in self._processes))

    async def _start_one(self) -> None:
        process = await start_process(
            "serving.processes.ranking_process",
            str(self.folder),
            ready=LoadedRelease,
            answers=RankedItems | None,
            environment=self._environment,
        )
        try:
            self.loaded = await process.first
        except BaseException:
            await process.stop()
            raise
        process.on_end = lambda: self._lost(process)
        self._processes.append(process)

    def _lost(self, process: WorkerProcess) -> None:
        self._processes.remove(process)
        if not self._closed:
            restart = asyncio.create_task(self._replace())
            self._restarts.add(restart)
            restart.add_done_callback(self._restarts.discard)

    async def _replace(self) -> None:
        while True:
            try:
                return await self._start_one()
            except Exception as error:
                LOG.error("a ranking process of %s does not start again: %s", self.folder.name, error)
                await asyncio.sleep(_RESTART_SECONDS)


async def load_release(folder: Path, settings: Settings) -> RankingProcesses:
    """The running, warm ranking processes of the release in `folder`. Raises ReleaseError."""
    processes = RankingProcesses(folder, settings)
    await processes.start()
    return processes
