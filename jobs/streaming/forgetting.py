"""When the stream has to start without what it remembers, because somebody asked to be forgotten."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

Offsets = Mapping[int, int]
"""By partition of the events topic: the offset of the first record that comes after a place."""


class Forgetting:
    """Looks at the requests again and again, from the start of a run on.

    `requests` returns whom it knows of, `ends` where the topic ends, `committed` how far the broker knows the stream to
    have come; all of them None where nobody can say now.
    """

    def __init__(
        self,
        requests: Callable[[], Set[bytes] | None],
        ends: Callable[[], Offsets | None],
        committed: Callable[[], Offsets | None],
    ) -> None:
        self._requests, self._ends, self._committed = requests, ends, committed
        self._known = requests()
        self._asked = False
        self._behind: Offsets | None = None
        """Where the topic ended after the new request: what is of before it lies before that."""

    def is_due(self) -> bool:
        """Whether there is a new request, and a start from the committed offsets would read nothing of before it."""
        asked = self._requests()
        if asked is not None and self._known is None:
            self._known = asked
        if asked and self._known is not None and asked - self._known:
            self._asked = True
        if self._asked and self._behind is None:
            self._behind = self._ends()
        if self._behind is None:
            return False
        come = self._committed()
        return come is not None and all(come.get(place, 0) >= end for place, end in self._behind.items())
