"""The user tower: one exported function of (recent history, profile, context), the same in batch, stream and serving.

The context is the time of the newest event: it is known wherever the history is, and changes only with an event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.features.context import HOURS, WEEKDAYS, hour_of, weekday_of
from headrace.features.user_row import MICROSECONDS_PER_DAY, HistoryEvent, UserRow
from headrace.release.bundle import USER_TOWER, VOCABULARIES, Release

PROFILE_PREFIX = "profile."
"""Vocabularies of profile values are named `profile.<key>`; their sorted names are the columns of `profile`."""
MOMENT_VOCABULARIES = {
    "context.hour": [str(hour) for hour in range(HOURS)],
    "context.weekday": [str(day) for day in range(WEEKDAYS)],
}
"""In releases that have them, they are the last two columns of `profile`."""
TOWER_COLUMNS = (
    "history_event_ids",
    "history_items",
    "history_types",
    "history_timestamps",
    "profile_keys",
    "profile_values",
)
"""Columns of a user's feature row that the tower reads; it does not need the own items, a hundred times longer."""


@dataclass(frozen=True)
class TowerInputs:
    """Inputs of the tower, for a batch of users. Position 0 of a history is the newest event; 0 = none or unknown."""

    history_items: npt.NDArray[np.int32]
    """[users, length]: item row + 1."""
    history_types: npt.NDArray[np.int32]
    """[users, length]: index of the event type in the vocabulary + 1."""
    history_ages: npt.NDArray[np.float32]
    """[users, length]: days before the user's newest event. Not before now: the vector changes only with an event."""
    profile: npt.NDArray[np.int32]
    """[users, profile keys]: code of each profile value, and of the time of the newest event where it is used."""

    def as_dict(self) -> dict[str, npt.NDArray[Any]]:
        """By input name of the exported model."""
        return dict(vars(self))


class TowerEncoder:
    """Turns users into the tower's input arrays, with the vocabularies of one release."""

    def __init__(
        self, row_of: Mapping[str, int], vocabularies: Mapping[str, Sequence[str]], history_length: int
    ) -> None:
        self.history_length = history_length
        self._known_keys = sorted(name for name in vocabularies if name.startswith(PROFILE_PREFIX))
        self._reads_moment = all(name in vocabularies for name in MOMENT_VOCABULARIES)
        self.profile_keys = self._known_keys + (list(MOMENT_VOCABULARIES) if self._reads_moment else [])
        """Vocabularies of the columns of `profile`."""
        self._row_of = row_of
        self._type_code = {value: code for code, value in enumerate(vocabularies["event_types"], start=1)}
        self._profile_codes = [
            {value: code for code, value in enumerate(vocabularies[name], start=1)} for name in self._known_keys
        ]

    def encode(self, histories: Sequence[Sequence[HistoryEvent]], profiles: Sequence[Mapping[str, str]]) -> TowerInputs:
        """Input arrays of users: histories (oldest first; the last `history_length` events are read) and profiles."""
        shape = (len(histories), self.history_length)
        rows, types = np.full(shape, -1, np.int32), np.zeros(shape, np.int32)
        ages = np.zeros(shape, np.float32)
        profile = self._profiles(profiles)
        for user, history in enumerate(histories):
            newest_first = history[: -self.history_length - 1 : -1]
            length = len(newest_first)
            if not length:
                continue
            times, _, item_ids, event_types = zip(*newest_first, strict=True)
            rows[user, :length] = list(map(self._row_of.get, item_ids, repeat(-1)))
            types[user, :length] = list(map(self._type_code.get, event_types, repeat(0)))
            ages[user, :length] = (times[0] - np.array(times, np.int64)) / MICROSECONDS_PER_DAY
            if self._reads_moment:
                profile[user, len(self._known_keys) :] = moment_codes(times[0])
        return TowerInputs(rows + 1, types, ages, profile)

    def _profiles(self, profiles: Sequence[Mapping[str, str]]) -> npt.NDArray[np.int32]:
        codes = np.zeros((len(profiles), len(self.profile_keys)), np.int32)
        names = [key.removeprefix(PROFILE_PREFIX) for key in self._known_keys]
        for user, profile in enumerate(profiles):
            for column, (name, code_of) in enumerate(zip(names, self._profile_codes, strict=True)):
                codes[user, column] = code_of.get(profile.get(name, ""), 0)
        return codes


def moment_codes(times: Any) -> npt.NDArray[np.int32]:
    """[…, 2]: codes of the hour and the weekday (UTC) of times […] in microseconds since 1970."""
    return np.asarray(np.stack([hour_of(times) + 1, weekday_of(times) + 1], axis=-1), np.int32)


class UserTower:
    """The exported tower of one release."""

    def __init__(self, model: Path, encoder: TowerEncoder, threads: int = 1) -> None:
        import onnxruntime  # slow to import: only where a tower is used

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._inputs = {node.name for node in self._session.get_inputs()}
        self.encoder = encoder

    def vectors(
        self, histories: Sequence[Sequence[HistoryEvent]], profiles: Sequence[Mapping[str, str]]
    ) -> npt.NDArray[np.float32]:
        """User vectors [users, embedding_size], float32; score of an item = inner product with its embedding."""
        inputs = self.encoder.encode(histories, profiles).as_dict()
        feed = {name: array for name, array in inputs.items() if name in self._inputs}
        return np.asarray(self._session.run(None, feed)[0], np.float32)

    def vector(self, row: UserRow) -> npt.NDArray[np.float32]:
        """The vector [embedding_size] of one user."""
        return np.asarray(self.vectors([row.history], [row.profile])[0], np.float32)


def load_user_tower(release: Release, row_of: Mapping[str, int], threads: int = 1) -> UserTower:
    """The tower of an opened release; `row_of` maps its item ids to row numbers (`Catalogue.row_of`)."""
    length = int(release.manifest.settings["features"]["history_length"])
    encoder = TowerEncoder(row_of, release.json(VOCABULARIES), length)
    return UserTower(release.path(USER_TOWER), encoder, threads)
