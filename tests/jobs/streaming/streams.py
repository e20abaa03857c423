"""Events and stores for the tests of the stream."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from headrace.features.user_row import HistoryEvent
from jobs.streaming.known_user import KnownUser, event_text
from jobs.streaming.user_store import NewRow

START = datetime(2026, 11, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def event(minute: int, number: int, event_type: str = "purchase") -> HistoryEvent:
    """Event `number` at `minute` after the start; its item has the same number."""
    moment = START + timedelta(minutes=minute)
    return HistoryEvent((moment - EPOCH) // timedelta(microseconds=1), f"e{number}", f"item-{number % 20}", event_type)


def packed(each: HistoryEvent) -> str:
    """The event as the query packs it."""
    return event_text(each)


class MemoryStore:
    """Keeps what the stream writes; can be told to fail."""

    def __init__(self) -> None:
        self.users: dict[str, KnownUser] = {}
        self.rows: dict[str, NewRow] = {}
        self.vectors: dict[str, npt.NDArray[np.float32]] = {}
        self.reads = 0
        self.asked: dict[str, int] = {}
        self.failure: Exception | None = None

    def read(self, users: Sequence[str]) -> list[KnownUser]:
        """What was put in `users`, else nobody."""
        self.reads += len(users)
        return [self.users.get(user, KnownUser([], {}, [])) for user in users]

    def forgotten(self) -> dict[str, int]:
        """Who asked to be forgotten."""
        return self.asked

    def write(self, rows: Sequence[NewRow]) -> None:
        """Keep the rows."""
        if self.failure:
            raise self.failure
        for row in rows:
            self.rows[row.user_id] = row
