"""State of the stream outside its process: its offsets on the topics, and its checkpoints."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.errors import ServiceError
from headrace.settings import Settings

CONSUMER_GROUP = "headrace-stream"
"""Consumer group of the stream's offsets, which are committed with each checkpoint."""
READY_FILE = "stream.ready"
"""Below `<home>/run`: there for as long as the job runs and its function is warm."""
_IN_USE = "in-use.lock"
_STREAM = "stream.lock"
"""Held by the one stream; its content is the process id. `in-use.lock` is held by whoever looks after, for a moment."""


def checkpoint_folder(settings: Settings) -> Path:
    """Folder of all checkpoints: `<job id>/chk-<number>`."""
    return settings.home_folder / "flink" / "checkpoints"


@contextmanager
def state_in_use(settings: Settings) -> Iterator[None]:
    """Mark the checkpoints as in use by a stream, for the block; released however the process ends.

    Raises ServiceError if another stream uses them.
    """
    with _lock_file(settings, _STREAM).open("a+") as stream, _lock_file(settings, _IN_USE).open("a") as file:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            raise ServiceError(
                f"another stream (process {stream.read()}) works with {checkpoint_folder(settings)}",
                "Stop it first: two streams of one home would overwrite each other's state",
            ) from None
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def unused_state(settings: Settings) -> Iterator[bool]:
    """Whether no stream works with the checkpoints; one that is started meanwhile waits until the block ends."""
    with _lock_file(settings, _IN_USE).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unused = True
        except BlockingIOError:
            unused = False
        yield unused


def _lock_file(settings: Settings, name: str) -> Path:
    path = checkpoint_folder(settings).parent / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
