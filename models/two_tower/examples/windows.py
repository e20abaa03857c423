"""Training batches for a user tower that has a vector at every position of a sequence: occasions share a window."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from models.two_tower.examples.sequences import Batch, ExampleCutter, Indices, Occasions, Sequences


class WindowCutter(ExampleCutter):
    """Half of a window's positions are targets: an occasion has at least half of the history that serving would read.

    Consecutive windows of a user overlap by the other half.
    """

    occasion_columns: ClassVar[tuple[str, ...]] = ("occasion_windows", "occasion_positions")

    def plan(self, occasions: Occasions, batch_size: int, random: np.random.Generator) -> list[Indices]:
        """Which occasions make each batch of about `batch_size` examples: whole windows, in random order."""
        window, windows = self._windows(occasions)
        rank = random.permutation(windows)
        order = np.argsort(rank[window], kind="stable")
        sizes = np.bincount(rank[window], occasions.end - occasions.begin, windows)
        batch = (np.cumsum(sizes) - sizes)[rank[window[order]]] // batch_size
        return np.split(order, np.flatnonzero(np.diff(batch)) + 1) if len(order) else []

    def history(self, sequences: Sequences, occasions: Occasions) -> Batch:
        """The user tower's inputs of each window, and in which one and where in it each occasion is.

        The position is that of the newest event of a catalogue item before the occasion; `profile` is the occasions'.
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
        newest = np.where(newest >= oldest, newest, occasions.begin - 1)  # no known item: any position will do
        return {
            **super().history(sequences, of_windows),
            "profile": self._profile(sequences, occasions),
            "occasion_windows": window.astype(np.int32),
            "occasion_positions": (ends[window] - 1 - newest).astype(np.int32),
        }

    def _windows(self, occasions: Occasions) -> tuple[Indices, int]:
        """The window of each occasion, numbered in order of the sequences, and how many there are."""
        learned = max(1, self.history_length // 2)
        size = int(occasions.begin.max(initial=0)) // learned + 1
        found, window = np.unique(occasions.user * size + occasions.begin // learned, return_inverse=True)
        return window, len(found)
