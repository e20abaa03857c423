"""How far bronze has read a topic: noted in the commits of its rows, so that both are kept and restored together.

Records that the broker no longer has, or a topic that was made anew, leave a gap: it is noted too, and the ingest goes
on after it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from pyspark.sql import functions as F

from headrace.tables import Table
from jobs.batch.engine.broker import Offsets, TopicState
from jobs.batch.engine.lake import Lake

PLACE = "kafka"
GAPS = "kafka_gaps"


@dataclass(frozen=True)
class Gap:
    """Records of a partition that never arrived."""

    topic: str
    partition: int
    first: int
    """Offset of the first one."""
    next: int
    """Offset at which the ingest went on."""
    made_anew: bool
    """The topic is another one of the same name: how many records of the old one are missing is unknown."""
    day: str
    """The day that the ingest ran for."""

    @property
    def sentence(self) -> str:
        """What is missing, and why."""
        where = f"topic '{self.topic}', partition {self.partition}"
        if self.made_anew:
            return f"{where}: made anew after offset {self.first}; what was not ingested of the old one is lost"
        return f"{where}: {self.next - self.first:,} records from offset {self.first} were deleted before their ingest"


@dataclass(frozen=True)
class Place:
    """The next offset of each partition, and the id of each topic that they are of."""

    offsets: Offsets
    ids: Mapping[str, str]

    def note(self) -> dict[str, Any]:
        """As a commit holds it."""
        of_topic: dict[str, dict[str, int]] = {topic: {} for topic in self.ids}
        for (topic, partition), offset in sorted(self.offsets.items()):
            of_topic.setdefault(topic, {})[str(partition)] = offset
        return {topic: {"id": self.ids.get(topic, ""), "offsets": each} for topic, each in of_topic.items()}


def recorded_place(lake: Lake, table: Table, topics: Sequence[str]) -> Place:
    """The place that the table's newest delivery left; where none is noted, after its last rows."""
    noted = lake.note(table, PLACE, None)
    if noted is None:
        rows = lake.read(table).where(F.col("source").isin(*(f"kafka:{topic}" for topic in topics)))
        last = rows.groupBy("source", "source_partition").agg(F.max("source_offset").alias("last")).collect()
        name = len("kafka:")
        return Place({(row["source"][name:], row["source_partition"]): row["last"] + 1 for row in last}, {})
    offsets = {
        (topic, int(partition)): offset
        for topic, each in noted.items()
        for partition, offset in each["offsets"].items()
    }
    return Place(offsets, {topic: each["id"] for topic, each in noted.items() if each["id"]})


def next_place(place: Place, topics: Mapping[str, TopicState], day: date) -> tuple[Place, list[Gap]]:
    """Where to go on, with the ids of the topics as they are; and the gaps before that."""
    offsets = dict(place.offsets)
    gaps: list[Gap] = []
    for topic, state in topics.items():
        other = place.ids.get(topic, state.id) != state.id
        other = other or any(place.offsets.get((topic, each), 0) > end for each, end in state.ends.items())
        for partition, start in state.starts.items():
            done = place.offsets.get((topic, partition))
            if done is not None and (other or done < start):
                gaps.append(Gap(topic, partition, done, start, other, day.isoformat()))
            offsets[topic, partition] = start if other or done is None else max(done, start)
    return Place(offsets, {**place.ids, **{topic: state.id for topic, state in topics.items()}}), gaps


def batches(place: Place, topics: Mapping[str, TopicState], records: int) -> Iterator[tuple[Offsets, Offsets]]:
    """First and next offsets of each batch of about `records`, an even share of what is left of every partition."""
    ends = {(topic, each): end for topic, state in topics.items() for each, end in state.ends.items()}
    first = {key: place.offsets[key] for key in ends}
    while left := sum(ends[key] - first[key] for key in ends):
        share = min(1.0, records / left)
        after = {key: min(end, first[key] + math.ceil((end - first[key]) * share)) for key, end in ends.items()}
        yield first, after
        first = after


def noted_gaps(lake: Lake, table: Table, day: date) -> list[Gap]:
    """The gaps that the ingest of a day found, oldest first."""
    found = [Gap(**each) for gaps in lake.notes(table, GAPS) for each in gaps]
    return [gap for gap in reversed(found) if gap.day == day.isoformat()]


def commit_note(place: Place, gaps: Sequence[Gap]) -> dict[str, Any]:
    """The note of a delivery: the place after it, and the gaps before it."""
    return {PLACE: place.note()} | ({GAPS: [asdict(gap) for gap in gaps]} if gaps else {})
