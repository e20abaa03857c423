"""Training batches for a user tower that has a vector at every place of a sequence: occasions share a window."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from models.two_tower.examples.sequences import Batch, ExampleCutter, Occasions, Places, Sequences


class WindowCutter(ExampleCutter):
    """Half a window's places are learned from: an occasion has at least half of the history that serving would read.

    Windows of one user overlap by the other half.
    """

    places: ClassVar[tuple[str, ...]] = ("occasion_windows", "occasion_places")

    def plan(self, occasions: Occasions, batch_size: int, random: np.random.Generator) -> list[Places]:
        """Which occasions make each batch of about `batch_size` examples: whole windows, in random order."""
        window, windows = self._windows(occasions)
        place = random.permutation(windows)
        order = np.argsort(place[window], kind="stable")
        sizes = np.bincount(place[window], occasions.end - occasions.begin, windows)
        batch = (np.cumsum(sizes) - sizes)[place[window[order]]] // batch_size
        return np.split(order, np.flatnonzero(np.diff(batch)) + 1) if len(order) else []

    def history(self, sequences: Sequences, occasions: Occasions) -> Batch:
        """The user tower's inputs of each window, and in which one and where in it each occasion is.

        The place is that of the newest event before the occasion that the catalogue knows; `profile` is the occasions'.
        """
        window, windows = self._windows(occasions)
        last = np.zeros(windows, np.int64)
        np.maximum.at(last, window, np.arange(len(occasions)))
        ends = np.zeros(windows, np.int64)
        np.maximum.at(ends, window, occasions.begin)
        of_windows = Occasions(ends, ends, occasions.user[last], occasions.times[last])
        known = np.maximum.accumulate(np.where(sequences.items > 0, np.arange(len(sequences.items)), -1))
        newest = known[occasions.begin - 1]
        oldest = np.maximum(ends[window] - self.history_length, sequences.starts[occasions.user])
        newest = np.where(newest >= oldest, newest, occasions.begin - 1)  # nothing known: any place says so
        return {
            **super().history(sequences, of_windows),
            "profile": self._profile(sequences, occasions),
            "occasion_windows": window.astype(np.int32),
            "occasion_places": (ends[window] - 1 - newest).astype(np.int32),
        }

    def _windows(self, occasions: Occasions) -> tuple[Places, int]:
        """The window of each occasion, numbered in order of the sequences, and how many there are."""
        learned = max(1, self.history_length // 2)
        size = int(occasions.begin.max(initial=0)) // learned + 1
        found, window = np.unique(occasions.user * size + occasions.begin // learned, return_inverse=True)
        return window, len(found)
