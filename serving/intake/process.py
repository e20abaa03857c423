"""Where bodies of `POST /events` are checked: small ones at once, larger ones in a process of their own.

python -m serving.intake.process <socket>
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from datetime import datetime

from headrace.machine.last_resort import reporting_errors
from serving.intake.checks import CheckedBody, check_body
from serving.log.log_lines import write_log_lines
from serving.processes.worker_process import WorkerProcess, serve_calls, start_process

SMALL_BYTES = 4096
"""A body of so many bytes is checked in less than a millisecond: no more than sending it to another process costs."""
_MOST_WAITING = 32
CHECK_SECONDS = 10.0
"""A body waits no longer for its check; a process that answers nothing in this time hangs, and is replaced."""


class IntakeBusyError(Exception):
    """More bodies wait to be checked than may, or the body was not checked in time."""


class Intake:
    """Checks bodies without holding the event loop for long."""

    def __init__(self, most_events: int, environment: Mapping[str, str]) -> None:
        self._most_events = most_events
        self._environment = environment
        self._starting = asyncio.Lock()
        self._process: WorkerProcess | None = None

    async def start(self) -> None:
        """Start the process, so that the first large body finds it ready."""
        self._process = await start_process(
            "serving.intake.process", ready=int, answers=CheckedBody, environment=self._environment
        )

    async def check(self, body: bytes, received_at: datetime) -> CheckedBody:
        """What becomes of a body. Raises IntakeBusyError, ProcessEndedError."""
        if len(body) <= SMALL_BYTES:
            return check_body(body, self._most_events, received_at)
        async with self._starting:
            if self._process is None or self._process.ended:
                await self.start()
            process = self._process
        assert process is not None  # noqa: S101 - just started
        if len(process) >= _MOST_WAITING:
            raise IntakeBusyError
        answered = process.answered
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                checked: CheckedBody = await process.call((body, self._most_events, received_at))
        except TimeoutError:
            if process.answered == answered:
                process.kill()
            raise IntakeBusyError from None
        return checked

    async def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            await self._process.stop()


def main() -> int:
    """`<socket>`."""
    write_log_lines()
    return reporting_errors(
        lambda: serve_calls(
            int(sys.argv[1]), os.getpid, tuple[bytes, int, datetime], lambda request: check_body(*request)
        )
    )


if __name__ == "__main__":
    sys.exit(main())
