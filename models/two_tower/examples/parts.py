"""The training set of a day a part at a time, so that its memory does not grow with the number of users."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.errors import BadInputError
from headrace.features.user_tower import TowerEncoder
from headrace.tables import GOLD_RETRIEVAL_EXAMPLES
from models.training.gold import Lake
from models.training.workers import Worker
from models.two_tower.examples.sequences import Sequences, find_occasions, read_sequences


@dataclass
class SequenceParts:
    """The rows of `gold.retrieval_examples`, about `users` of them at a time."""

    lake: Lake
    day: date
    users: int
    item_ids: Sequence[str]
    vocabularies: Mapping[str, Sequence[str]]
    encoder: TowerEncoder
    _only: list[Sequences] = field(default_factory=list)
    """A set of one part is read once."""

    def all(self) -> Iterator[Sequences]:
        """Every part."""
        if self._only:
            yield self._only[0]
            return
        parts = 0
        for table in self.lake.parts(GOLD_RETRIEVAL_EXAMPLES, self.day, self.users):
            part = self._sequences(table)
            parts += 1
            yield part
        if parts == 1:
            self._only.append(part)

    def of(self, worker: Worker) -> Iterator[Sequences]:
        """The parts that one of several workers trains on: those of its share of the files.

        Raises BadInputError where there are fewer files than workers.
        """
        if worker.workers == 1:
            yield from self.all()
            return
        files = self.lake.files(GOLD_RETRIEVAL_EXAMPLES, self.day)
        if files < worker.workers:
            raise BadInputError(
                f"the training set of {self.day} is in {files} files, too few for {worker.workers} workers",
                "Set spark.shuffle_partitions higher and run the job training_sets again, or start fewer workers",
            )
        mine = self.lake.parts(
            GOLD_RETRIEVAL_EXAMPLES, self.day, self.users, shard=worker.number, shards=worker.workers
        )
        for table in mine:
            yield self._sequences(table)

    def _sequences(self, table: pa.Table) -> Sequences:
        columns = (table.column("profile_keys").to_pylist(), table.column("profile_values").to_pylist())
        profiles = [dict(zip(keys, values, strict=True)) for keys, values in zip(*columns, strict=True)]
        profile = self.encoder.encode([()] * len(profiles), profiles).profile
        return read_sequences(table, self.item_ids, self.vocabularies, profile)


@dataclass(frozen=True)
class SequenceCounts:
    """What one pass over all parts counts."""

    events: dict[int, npt.NDArray[np.int64]]
    """[items + 1] by moment: events of each item before it."""
    examples: dict[tuple[int, int], int]
    """Number of examples of each window."""

    def examples_between(self, begin: int, end: int) -> int:
        """Of the windows from `begin` to `end`."""
        return sum(number for (first, last), number in self.examples.items() if begin <= first and last <= end)


def count_sequences(parts: SequenceParts, moments: Sequence[int]) -> SequenceCounts:
    """Counts between and before `moments` (ascending, microseconds since 1970).

    Raises BadInputError if no user has two events or more.
    """
    size = len(parts.item_ids) + 1
    events = {moment: np.zeros(size, np.int64) for moment in moments}
    examples = dict.fromkeys(pairwise(moments), 0)
    users = longest = 0
    for part in parts.all():
        lengths = np.diff(part.starts)
        users, longest = users + len(lengths), max(longest, int(lengths.max(initial=0)))
        for moment in moments:
            events[moment] += np.bincount(part.items[part.times < moment], minlength=size)
        occasions = find_occasions(part)
        for begin, end in examples:
            chosen = occasions.between(begin, end)
            examples[begin, end] += int((chosen.end - chosen.begin).sum())
    if longest < 2:
        raise BadInputError(
            f"the training window has {users} users and none of them has two events",
            "Import more events, or widen training.retrieval_days",
        )
    return SequenceCounts(events, examples)
