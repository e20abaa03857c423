"""When the stream has to start without what it remembers, because somebody asked to be forgotten."""

from __future__ import annotations

from collections.abc import Callable, Set

CHECKPOINTS = 3
"""The first one after a request may have begun before it; the second holds the place behind all that was read until
then; when the third is there, that place is committed, and nothing of before the request is read again."""


class Forgetting:
    """Looks at the requests again and again, from the start of a run on.

    `requests` returns whom it knows of (None: it can't say now), `checkpoint` the number of the newest checkpoint.
    """

    def __init__(self, requests: Callable[[], Set[bytes] | None], checkpoint: Callable[[], int]) -> None:
        self._requests = requests
        self._checkpoint = checkpoint
        self._known = requests()
        self._due_at: int | None = None

    def is_due(self) -> bool:
        """Whether there is a new request, and the broker knows a place behind all that was read before it."""
        asked = self._requests()
        if asked is not None and self._known is None:
            self._known = asked
        if self._due_at is None and asked and self._known is not None and asked - self._known:
            self._due_at = self._checkpoint() + CHECKPOINTS
        return self._due_at is not None and self._checkpoint() >= self._due_at
