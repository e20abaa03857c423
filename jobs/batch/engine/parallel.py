"""Spark actions side by side: where one waits for its plan or for its last task, another has the cores."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_AT_ONCE = 3
"""Plans that are made at the same time: the driver makes each in one thread."""

Result = TypeVar("Result")


def in_parallel(*actions: Callable[[], Result]) -> list[Result]:
    """Their results, in order. They must not write to the same table.

    Raises what the first of them that failed raised, when all have ended; what was not begun yet is not begun.
    """
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        running = [threads.submit(action) for action in actions]
        try:
            return [each.result() for each in running]
        finally:
            threads.shutdown(cancel_futures=True)
