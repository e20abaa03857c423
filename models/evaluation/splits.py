"""Global time split: models are trained on events before it and evaluated on those after it; no leak of the future.

A split per user (leave the last one out) trains a model on other users' events after the evaluated one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.errors import BadInputError
from headrace.tables import TIME

_HINT = "Evaluate a model only on events after its training data"


@dataclass(frozen=True)
class Split:
    """Events before a moment, and from it on."""

    train: pa.Table
    test: pa.Table
    at: datetime


def split_at(events: pa.Table, at: datetime) -> Split:
    """The events (with a column `timestamp`) before `at`, and the others. Raises BadInputError if a side is empty."""
    before = pc.less(events.column("timestamp").cast(TIME), pa.scalar(at, TIME))
    split = Split(events.filter(before), events.filter(pc.invert(before)), at)
    for side, rows in (("before", split.train), ("after", split.test)):
        if not rows.num_rows:
            raise BadInputError(f"there is no event {side} {at:%Y-%m-%d %H:%M}", "Split at another time")
    return split


def require_no_leak(split: Split, features: pa.Table | None = None) -> None:
    """Raises BadInputError, with the first row that is on the wrong side of the split.

    `features` are rows that the model reads: with `event_timestamp`, the moment they speak of, and where there is one
    `created_timestamp`, the moment they were computed; neither may be after the split.
    """
    at = pa.scalar(split.at, TIME)
    _refuse("train", split.train, "timestamp", pc.greater_equal, at, "is not before the split at")
    _refuse("test", split.test, "timestamp", pc.less, at, "is before the split at")
    for column in ("event_timestamp", "created_timestamp"):
        if features is not None and column in features.column_names:
            _refuse("features", features, column, pc.greater, at, "is after the split at")


def require_after(name: str, events: pa.Table, known_until: datetime) -> None:
    """Raises BadInputError if an event of `events` is not after a model's newest training event."""
    _refuse(
        name,
        events,
        "timestamp",
        pc.less_equal,
        pa.scalar(known_until, TIME),
        "is not after the model's training data, which ends at",
    )


def _refuse(
    name: str,
    rows: pa.Table,
    column: str,
    wrong: Callable[[pa.ChunkedArray, pa.Scalar], pa.Array],
    at: pa.Scalar,
    how: str,
) -> None:
    try:
        times = rows.column(column).cast(TIME)
    except pa.ArrowInvalid:
        raise BadInputError(f"{name}: {column} holds no times", "Use timestamps with a time zone") from None
    broken: npt.NDArray[np.bool_] = pc.fill_null(wrong(times, at), True).to_numpy(zero_copy_only=False)
    if broken.any():
        row = int(broken.argmax())
        raise BadInputError(
            f"leak: {name}, row {row}: {column} {times[row]} {how} {at} ({int(broken.sum())} such rows)",
            _HINT,
        )
