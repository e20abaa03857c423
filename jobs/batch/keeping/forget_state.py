"""A user in the stream's checkpoints: found by bytes, removed with the checkpoint while no stream uses it."""

from __future__ import annotations

import mmap
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from headrace.machine.stream_state import checkpoint_folder, unused_state
from headrace.settings import Settings

_SHORT = 7
"""Longest text, in bytes, that Flink's rows store inline: padded with zeros, its length in the last byte."""
_RETRY_S = 180.0
_POLL_S = 0.5


def found_in_checkpoints(settings: Settings, subjects: Sequence[str]) -> dict[str, str]:
    """Checkpoints below home that contain one of the subjects."""
    folder = checkpoint_folder(settings)
    return {
        f"checkpoint {checkpoint.relative_to(folder)}": "the user is in the stream's state"
        for checkpoint in _naming(settings, subjects)
    }


def remove_checkpoints(
    settings: Settings, subjects: Sequence[str], sleep: Callable[[float], None] = time.sleep
) -> dict[str, int]:
    """Remove the checkpoints with one of the subjects; a running stream does so itself and is waited for.

    The next start continues from the offsets that were committed with the last checkpoint: no event is lost, and a
    repeated one has no effect.
    """
    found = _naming(settings, subjects)
    for _ in range(round(_RETRY_S / _POLL_S)):
        with unused_state(settings) as unused:
            left = _naming(settings, subjects)
            if unused:
                for checkpoint in left:
                    shutil.rmtree(checkpoint)
                left = []
        if not left:
            break
        sleep(_POLL_S)
    removed = len(set(found) - set(left))
    return {"checkpoints of the stream": removed} if removed else {}


def contains(path: Path, wanted: bytes | re.Pattern[bytes]) -> bool:
    """Whether a file contains these bytes."""
    if not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(wanted) >= 0 if isinstance(wanted, bytes) else wanted.search(content) is not None


def _naming(settings: Settings, subjects: Sequence[str]) -> list[Path]:
    """Folders of a checkpoint, or of files that several share."""
    wanted = re.compile(b"|".join(_in_row(subject.encode()) for subject in subjects))
    folders = sorted(checkpoint_folder(settings).glob("*/*"))
    return [folder for folder in folders if any(_holds(path, wanted) for path in _files_below(folder))]


def _files_below(folder: Path) -> Iterator[Path]:
    """A folder that Flink removes meanwhile, as it does with older checkpoints, has no files (see os.walk)."""
    return (Path(parent, name) for parent, _, names in os.walk(folder) for name in names)


def _holds(path: Path, wanted: re.Pattern[bytes]) -> bool:
    try:
        return contains(path, wanted)
    except FileNotFoundError:  # removed since it was listed
        return False


def _in_row(text: bytes) -> bytes:
    """Pattern of a text in Flink's row format; the bytes around it distinguish a short one from other data."""
    if len(text) <= _SHORT:
        return re.escape(text.ljust(_SHORT, b"\0") + bytes([0x80 | len(text)]))
    return rb"(?<![\w.:-])" + re.escape(text) + rb"(?![\w.-])"
