"""Peak memory of the demo: its own process, its subprocesses and the background services."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from headrace.machine.run_records import read_records

_SECONDS = 3.0
"""Sampling interval: processes with high usage run longer than this."""
_ROOT = -1


class PeakMemory:
    """Samples, in its own thread, the memory of this process, its children and the services of `home`."""

    def __init__(self, home: Path) -> None:
        self.bytes = 0
        self._home, self._ended = home, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def __str__(self) -> str:
        return f"{self.bytes / 2**30:.1f} GiB"

    def sample(self) -> None:
        """Measure the memory now and keep the maximum."""
        processes = self._processes()
        if memory_of(processes, roughly=True) > self.bytes:
            self.bytes = max(self.bytes, memory_of(processes))

    def _watch(self) -> None:
        while not self._ended.wait(_SECONDS):
            self.sample()

    def _processes(self) -> list[psutil.Process]:
        """In one pass over the process table: each children() of psutil would be another."""
        roots = {os.getpid(), *(record.pid for record in read_records(self._home) if record.process())}
        children = defaultdict(list)
        for process in psutil.process_iter(["ppid"]):
            children[process.info["ppid"]].append(process)
            if process.pid in roots:
                children[_ROOT].append(process)
        found: dict[int, psutil.Process] = {}
        to_come = children[_ROOT]
        while to_come:
            process = to_come.pop()
            if process.pid not in found:
                found[process.pid] = process
                to_come += children[process.pid]
        return list(found.values())


def memory_of(processes: Iterable[psutil.Process], *, roughly: bool = False) -> int:
    """Bytes that the processes hold together; shared pages count once where the system reports this (Linux).

    That takes 30 ms per GiB. `roughly` counts them for each process: faster, and an upper bound.
    """
    total = 0
    for process in processes:
        with suppress(psutil.Error):
            usage = process.memory_info() if roughly else process.memory_full_info()
            total += usage.rss if roughly else getattr(usage, "pss", usage.uss)
    return total
