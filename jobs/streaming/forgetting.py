"""When the stream has to restart without state because of a forget request."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Offsets = Mapping[int, int]
"""By partition of the events topic: an offset, that of the next record."""
Requests = Mapping[bytes, bytes]
"""By hashed subject the moment of the last request: the same person may ask again."""


class Forgetting:
    """Polls the forget requests from the start of a run on.

    `requests` returns subjects and moments, `ends` the end offsets of the topic, `committed` the stream's committed
    offsets; each returns None while store or broker are not reachable.
    """

    def __init__(
        self,
        requests: Callable[[], Requests | None],
        ends: Callable[[], Offsets | None],
        committed: Callable[[], Offsets | None],
    ) -> None:
        self._requests, self._ends, self._committed = requests, ends, committed
        self._known = requests()
        self._is_new = False
        self._target: Offsets | None = None
        """End offsets of the topic after the new request: all earlier events are before them."""

    def is_due(self) -> bool:
        """Whether there is a new request, and a start from the committed offsets reads no event from before it."""
        found = self._requests()
        if found is not None and self._known is None:
            self._known = found
        if found and self._known is not None and found.items() - self._known.items():
            self._is_new = True
        if self._is_new and self._target is None:
            self._target = self._ends()
        if self._target is None:
            return False
        committed = self._committed()
        return committed is not None and all(
            committed.get(partition, 0) >= end for partition, end in self._target.items()
        )
