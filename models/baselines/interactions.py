"""Interactions (user, item, time) as columns: the training data of every baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from headrace.errors import BadInputError
from headrace.events import INTEREST_TYPES
from headrace.tables import SILVER_EVENTS, TIME
from models.training.bot_filter import without_bots
from models.training.gold import Lake

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
_MICROSECONDS_PER_DAY = 86_400_000_000
_COLUMNS = ["event_type", "subject_id", "item_id", "timestamp", "value"]


@dataclass(frozen=True)
class Interactions:
    """Events of interest before a moment. Users and items are indices into the lists of ids."""

    users: Rows
    """[events]"""
    items: Rows
    """[events]"""
    age_days: npt.NDArray[np.float64]
    """[events]: before the moment, at least 0."""
    user_ids: Sequence[str]
    item_ids: Sequence[str]
    texts: Sequence[str] = ()
    """[items]: words that describe each item, categories first; empty where there are none."""

    def __post_init__(self) -> None:
        """Raises BadInputError if there is no event."""
        if not len(self.users):
            raise BadInputError("there is no event of interest to train on", "Import events, or use a later day")

    @property
    def shape(self) -> tuple[int, int]:
        """(users, items)."""
        return len(self.user_ids), len(self.item_ids)

    @cached_property
    def taken(self) -> sparse.csr_matrix:
        """[users, items]: 1 for each pair with an event."""
        matrix = self.counts(None)
        matrix.data[:] = 1.0
        return matrix

    def counts(self, half_life_days: float | None) -> sparse.csr_matrix:
        """[users, items]: number of events, each halved every `half_life_days` (None: all count alike)."""
        weights = np.ones(len(self.users)) if half_life_days is None else 0.5 ** (self.age_days / half_life_days)
        pairs = sparse.coo_matrix((weights.astype(np.float32), (self.users, self.items)), shape=self.shape)
        matrix = pairs.tocsr()
        matrix.sort_indices()
        return matrix

    def users_within(self, days: float, before: float = 0.0) -> npt.NDArray[np.float64]:
        """[items]: distinct users with an event in the `days` that end `before` days ago."""
        wanted = (self.age_days >= before) & (self.age_days < before + days)
        pairs = np.unique(self.users[wanted] * self.shape[1] + self.items[wanted])
        return np.bincount(pairs % self.shape[1], minlength=self.shape[1]).astype(np.float64)


def read_interactions(lake: Lake, as_of: datetime, texts: pa.Table | None = None) -> Interactions:
    """The lake's events of interest before `as_of`, without flagged bots; purchases need a quantity above 0.

    `texts` has the columns item_id and text. Raises BadInputError if there is no event.
    """
    events = lake.read(SILVER_EVENTS, columns=_COLUMNS)
    wanted = pc.and_(
        pc.less(events.column("timestamp"), pa.scalar(as_of, TIME)),
        pc.and_(
            pc.is_in(events.column("event_type"), value_set=pa.array(sorted(INTEREST_TYPES), pa.string())),
            pc.is_valid(events.column("item_id")),
        ),
    )
    quantity = pc.fill_null(events.column("value"), 1.0)
    bought = pc.or_(pc.not_equal(events.column("event_type"), "purchase"), pc.greater(quantity, 0))
    return as_interactions(without_bots(lake, events.filter(pc.and_(wanted, bought))), as_of, texts)


def as_interactions(events: pa.Table, as_of: datetime, texts: pa.Table | None = None) -> Interactions:
    """From a table of subject_id, item_id and timestamp, all before `as_of`; numbers are in the order of the ids."""
    user_ids, users = _numbered(events.column("subject_id"))
    item_ids, items = _numbered(events.column("item_id"))
    moments = events.column("timestamp").cast(TIME).cast(pa.int64()).to_numpy()
    age = (round(as_of.timestamp() * 1_000_000) - moments) / _MICROSECONDS_PER_DAY
    if texts is None:
        return Interactions(users, items, age, user_ids, item_ids)
    row = pc.index_in(pa.array(item_ids, pa.string()), value_set=texts.column("item_id").combine_chunks())
    found = pc.fill_null(texts.column("text").take(row), "").to_pylist()
    return Interactions(users, items, age, user_ids, item_ids, found)


def _numbered(column: pa.ChunkedArray) -> tuple[list[str], Rows]:
    encoded: Any = column.combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    ids = np.array(encoded.dictionary.to_pylist(), object)
    order = np.argsort(ids, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return ids[order].tolist(), rank[encoded.indices.to_numpy()]
