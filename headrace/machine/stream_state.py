"""State of the stream outside its process: its offsets on the topics, and its checkpoints."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.settings import Settings

CONSUMER_GROUP = "headrace-stream"
"""Consumer group of the stream's offsets, which are committed with each checkpoint."""
READY_FILE = "stream.ready"
"""Below `<home>/run`: there for as long as the job runs and its function is warm."""
_LOCK = "in-use.lock"


def checkpoint_folder(settings: Settings) -> Path:
    """Folder of all checkpoints: `<job id>/chk-<number>`."""
    return settings.home_folder / "flink" / "checkpoints"


@contextmanager
def state_in_use(settings: Settings) -> Iterator[None]:
    """Mark the checkpoints as in use by a stream, for the block; released however the process ends."""
    with _lock_file(settings).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def unused_state(settings: Settings) -> Iterator[bool]:
    """Whether no stream works with the checkpoints; one that is started meanwhile waits until the block ends."""
    with _lock_file(settings).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unused = True
        except BlockingIOError:
            unused = False
        yield unused


def _lock_file(settings: Settings) -> Path:
    path = checkpoint_folder(settings).parent / _LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
