"""One batch of live events: read the users' rows, merge, one tower call, one write."""

from __future__ import annotations

import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from headrace.features.user_row import profile_fingerprint
from headrace.features.user_tower import UserTower
from headrace.forgotten import forgotten_until
from jobs.streaming.known_user import KnownUser, after_events, needs_write, since
from jobs.streaming.recent_events import packed_events, unpack_events
from jobs.streaming.user_store import NewRow

REMEMBERED_USERS = 4096
"""Users kept in memory between batches, about 25 kB each."""
REMEMBERED_S = 30.0
"""A user is read from the store again after this time, so that a new batch row counts."""
FORGOTTEN_S = 1.0
"""Interval at which forget requests are read."""


class ReleaseTower(NamedTuple):
    """A user tower and the release it is of."""

    release_id: str
    tower: UserTower


class Store(Protocol):
    """The part of `UserStore` that a batch needs."""

    def read(self, users: Sequence[str]) -> list[KnownUser]: ...

    def write(self, rows: Sequence[NewRow]) -> None: ...

    def forgotten(self) -> dict[str, int]: ...


class LiveUsers:
    """Maintains the live rows of the users whose events this instance gets.

    All events of a user go to one instance (the query is keyed by user), so what was written last is cached and
    need not be read again.
    """

    def __init__(
        self,
        store: Store,
        current_tower: Callable[[], ReleaseTower],
        history_length: int,
        clock: Callable[[], float] = time.time,
        remembered_users: int = REMEMBERED_USERS,
    ) -> None:
        self._store = store
        self._current_tower = current_tower
        self._length = history_length
        self._clock = clock
        self._remembered_users = remembered_users
        self._forgotten: tuple[float, dict[str, int]] = (-FORGOTTEN_S, {})
        self._remembered: OrderedDict[str, tuple[float, KnownUser]] = OrderedDict()

    def take(self, subjects: Sequence[str], recents: Sequence[str]) -> int:
        """Write the users of a batch: `recents[i]` holds the newest event of `subjects[i]` and some before it, packed.

        Only the newest state of each user is computed and written. Returns how many users were written. Raises
        ServiceError if the store stays unavailable; nothing is cached then, so that a repetition has the same result.
        """
        rows_of: dict[str, list[int]] = defaultdict(list)
        for row, subject in enumerate(subjects):
            rows_of[subject].append(row)
        now = self._clock()
        asked = self._forget_requests(now)
        before = self._known(list(rows_of), now)
        release_id, tower = self._current_tower()
        changed: dict[str, KnownUser] = {}
        for subject, rows in rows_of.items():
            user, was_remembered = before[subject]
            events = unpack_events(_packed_events(rows, recents, only_new=was_remembered))
            if (until := forgotten_until(subject, asked)) >= 0:
                user, events = since(user, until), [event for event in events if event.timestamp > until]
                before[subject] = user, was_remembered
            after = after_events(user, events, self._length)
            if needs_write(user, after, release_id):
                changed[subject] = after
        self._write(changed, release_id, tower)
        for subject, (user, _) in before.items():
            self._remember(subject, now, changed[subject]._replace(release=release_id) if subject in changed else user)
        self._forget_oldest()
        return len(changed)

    def _forget_requests(self, now: float) -> dict[str, int]:
        """The forget requests, at most `FORGOTTEN_S` old."""
        if now - self._forgotten[0] >= FORGOTTEN_S:
            self._forgotten = now, self._store.forgotten()
        return self._forgotten[1]

    def _known(self, subjects: Sequence[str], now: float) -> dict[str, tuple[KnownUser, bool]]:
        """Each user and whether it was cached, in which case every earlier event is in it."""
        known: dict[str, tuple[KnownUser, bool]] = {}
        unknown = []
        for subject in subjects:
            read_at, user = self._remembered.get(subject, (0.0, None))
            if user is None or now - read_at > REMEMBERED_S:
                self._remembered.pop(subject, None)
                unknown.append(subject)
            else:
                known[subject] = user, True
        for subject, user in zip(unknown, self._store.read(unknown), strict=True):
            known[subject] = user, False
        return known

    def _write(self, users: dict[str, KnownUser], release_id: str, tower: UserTower) -> None:
        if not users:
            return
        vectors = tower.vectors([user.history for user in users.values()], [user.profile for user in users.values()])
        updated_at = int(self._clock() * 1_000_000)
        self._store.write(
            [
                NewRow(
                    subject,
                    release_id,
                    vector,
                    user.history_json,
                    user.event_timestamp,
                    user.live_events,
                    updated_at,
                    profile_fingerprint(user.profile),
                )
                for (subject, user), vector in zip(users.items(), vectors, strict=True)
            ]
        )

    def _remember(self, subject: str, now: float, user: KnownUser) -> None:
        read_at, _ = self._remembered.pop(subject, (now, None))
        self._remembered[subject] = read_at, user

    def _forget_oldest(self) -> None:
        while len(self._remembered) > self._remembered_users:
            self._remembered.popitem(last=False)


def _packed_events(rows: Sequence[int], recents: Sequence[str], *, only_new: bool) -> Iterable[str]:
    """The packed events of one user's rows: those that arrived with them, or also the earlier ones that Flink carries.

    A row holds the last events up to its own, as many as Flink still had: of the rows before it, so many less one need
    not be read.
    """
    index = len(rows) - 1
    while index >= 0:
        held = packed_events(recents[rows[index]])
        yield from held[-index - 1 :] if only_new else held
        index -= len(held)
