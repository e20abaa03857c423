"""The rank of this training process by TensorFlow's variable `TF_CONFIG`; parallel work."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from typing import Any

from headrace.errors import BadInputError

CONFIG = "TF_CONFIG"


@dataclass(frozen=True)
class Worker:
    """One of the processes that train one model together; on its own if there are no others."""

    number: int = 0
    workers: int = 1

    @property
    def chief(self) -> bool:
        """Whether this process evaluates and writes."""
        return self.number == 0

    def strategy(self) -> Any:
        """TensorFlow's distribution strategy. Call it before anything else of TensorFlow; waits for all workers."""
        import tensorflow as tf

        return tf.distribute.get_strategy() if self.workers == 1 else _of_many_workers()


@cache
def _of_many_workers() -> Any:
    import tensorflow as tf

    return tf.distribute.MultiWorkerMirroredStrategy()


def this_worker() -> Worker:
    """From `TF_CONFIG`: the cluster's workers by address, and which of them this process is.

    Raises BadInputError where it can't be understood.
    """
    text = os.environ.get(CONFIG, "")
    if not text:
        return Worker()
    try:
        config = json.loads(text)
        workers, number = len(config["cluster"]["worker"]), int(config["task"]["index"])
        if config["task"]["type"] != "worker" or not 0 <= number < workers:
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise BadInputError(
            f"{CONFIG} is not understood: {text[:200]}",
            'Expected {"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}',
        ) from None
    return Worker(number, workers)


@contextmanager
def side_by_side(work: Callable[[], object] | None) -> Iterator[None]:
    """Do `work`, if any, in a fresh process while the block runs; both have ended after it. Raises what it raised.

    Not in a thread: TensorFlow's seeds and determinism are those of a whole process.
    """
    if work is None:
        yield
        return
    with ProcessPoolExecutor(1, get_context("spawn")) as processes:
        running = processes.submit(work)
        processes.shutdown(wait=False)  # its memory is free when it is done
        yield
        running.result()
