"""What a table of the lake is, the types of its columns, and the moments that its days end with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa

TIME = pa.timestamp("us", tz="UTC")
STRINGS = pa.list_(pa.string())
FLOATS = pa.list_(pa.float32())
TIMES = pa.list_(pa.int64())
"""Lists of times are microseconds since 1970, so that they travel unchanged through the feature store."""


@dataclass(frozen=True)
class Table:
    """One Delta table: `layer.name`, its Arrow schema, the key that is unique in it and what partitions it."""

    layer: str
    name: str
    meaning: str
    schema: pa.Schema
    key: tuple[str, ...]
    partition: str | None = None

    @property
    def path(self) -> str:
        """Path below the lake's root."""
        return f"{self.layer}/{self.name}"


def end_of(day: date) -> datetime:
    """The midnight (UTC) that ends `day`: the `as_of` of all data computed for it. Events before it count."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)


def microseconds(moment: datetime) -> int:
    """Since 1970, as the lists of times in the tables hold it."""
    return round(moment.timestamp() * 1_000_000)
