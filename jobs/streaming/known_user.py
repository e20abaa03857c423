"""What the stream knows of one user, and what live events make of it. Pure: no clock, no store, no Flink."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from headrace.online_store import LiveRow
from headrace.user_row import HistoryEvent, UserRow, merge_history


@dataclass(frozen=True)
class KnownUser:
    """A user's history from batch and stream together, and which vector is in the store."""

    history: list[HistoryEvent] = field(default_factory=list)
    """Merged, oldest first."""
    profile: Mapping[str, str] = field(default_factory=dict)
    count: int = 0
    """Live events that entered the history so far; orders two writes with the same event time."""
    release: str = ""
    """Release of the vector in the store; empty where there is none."""

    @property
    def event_timestamp(self) -> int:
        """Microseconds since 1970 of the newest event; 0 without any."""
        return self.history[-1].timestamp if self.history else 0


def known_user(batch: UserRow, live: LiveRow | None, length: int) -> KnownUser:
    """The user as the online store has it: the batch row's history and the live row's, merged."""
    if live is None:
        return KnownUser(merge_history(batch.history, [], length), batch.profile)
    history = merge_history(batch.history, live.history, length)
    return KnownUser(history, batch.profile, live.count, live.release)


def after_events(user: KnownUser, live: Iterable[HistoryEvent], length: int) -> KnownUser:
    """The user after these events; the same object if they change nothing (known already, or too old to matter).

    The history is the newest `length` events of everything ever seen, whatever the order or repetition of arrival.
    """
    known = {event.event_id for event in user.history}
    fresh = [event for event in live if event.event_id not in known]
    if not fresh:
        return user
    history = merge_history(user.history, fresh, length)
    entered = sum(event.event_id not in known for event in history)
    return replace(user, history=history, count=user.count + entered) if entered else user


def needs_write(before: KnownUser, after: KnownUser, release: str) -> bool:
    """Whether the store has another history than this one, or a vector of another release."""
    return bool(after.history) and (after is not before or after.release != release)
