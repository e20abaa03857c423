"""State of one user in the stream and its update by live events. Pure: no clock, no store, no Flink."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from json.encoder import encode_basestring_ascii as quoted
from operator import attrgetter
from typing import NamedTuple

from headrace.features.online_store import LiveRow
from headrace.features.user_row import HistoryEvent, UserRow, merge_history

_EVENT_ID = attrgetter("event_id")


class KnownUser(NamedTuple):
    """A user's history from batch and stream together, and which vector is in the store."""

    history: list[HistoryEvent]
    """Merged, oldest first."""
    profile: Mapping[str, str]
    texts: Sequence[str]
    """JSON of each event of the history, kept because writing 50 events again for each new one takes longest."""
    live_events: int = 0
    """Live events that entered the history so far; orders two writes with the same event time."""
    release: str = ""
    """Release of the vector in the store; empty where there is none, or one of another history or profile."""

    @property
    def event_timestamp(self) -> int:
        """Microseconds since 1970 of the newest event; 0 without any."""
        return self.history[-1].timestamp if self.history else 0

    @property
    def history_json(self) -> str:
        """The history as `headrace.features.online_store.live_row_arguments` writes it."""
        return f"[{','.join(self.texts)}]"


def known_user(batch: UserRow, live: LiveRow | None, length: int) -> KnownUser:
    """The user as the online store has it: the batch row's history and the live row's, merged."""
    history = merge_history(batch.history, live.history if live else [], length)
    texts = [event_text(event) for event in history]
    if live is None:
        return KnownUser(history, batch.profile, texts)
    release = live.release if live.holds_vector_of(live.release, history, batch.profile) else ""
    return KnownUser(history, batch.profile, texts, live.count, release)


def after_events(user: KnownUser, live: Iterable[HistoryEvent], length: int) -> KnownUser:
    """The user after these events; the same object if they change nothing (already in the history, or too old for it).

    The history is the newest `length` events of everything ever seen, whatever the order or repetition of arrival.
    """
    known = set(map(_EVENT_ID, user.history))
    fresh = [event for event in live if event.event_id not in known]
    if not fresh:
        return user
    if len(fresh) == 1 and fresh[0].timestamp > user.event_timestamp:  # the usual case, without sorting
        history, texts = [*user.history, fresh[0]], [*user.texts, event_text(fresh[0])]
        return user._replace(history=history[-length:], texts=texts[-length:], live_events=user.live_events + 1)
    history = merge_history(user.history, fresh, length)
    entered = [event for event in history if event.event_id not in known]
    if not entered:
        return user
    text_of = dict(zip(user.history, user.texts, strict=True)) | {event: event_text(event) for event in entered}
    texts = [text_of[event] for event in history]
    return user._replace(history=history, texts=texts, live_events=user.live_events + len(entered))


def since(user: KnownUser, moment: int) -> KnownUser:
    """The user without events up to `moment` (µs since 1970), the time of a forget request."""
    if not user.history or user.history[0].timestamp > moment:
        return user
    kept = [event for event in user.history if event.timestamp > moment]
    return user._replace(history=kept, texts=[event_text(event) for event in kept], profile={})


def event_text(event: HistoryEvent) -> str:
    """One event of a history as JSON."""
    return f"[{event.timestamp},{quoted(event.event_id)},{quoted(event.item_id)},{quoted(event.event_type)}]"


def needs_write(before: KnownUser, after: KnownUser, release: str) -> bool:
    """Whether the store has another history than this one, or a vector of another release, history or profile."""
    return bool(after.history) and (after is not before or after.release != release)
