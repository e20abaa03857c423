"""Training data of the ranker: each user's candidates with features as served, and which of them were taken.

The arrays use most of a training's memory: there is one of each, and who needs some of the users takes a slice of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.features.ranking import CATEGORICAL, NUMERIC
from headrace.outcomes import OUTCOMES

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]


@dataclass(frozen=True)
class RankingExamples:
    """Candidates of all users, padded to the longest list."""

    user_ids: list[str]
    numeric: Floats
    """[users, candidates, len(NUMERIC)]."""
    categorical: Ints
    """[users, candidates, len(CATEGORICAL)]."""
    taken: Floats
    """[users, candidates]: occasions on which the user took it in the holdout."""
    present: npt.NDArray[np.bool_]
    """[users, candidates]: False where the list is shorter."""
    outcomes: Floats
    """[users, candidates, len(OUTCOMES)]: what else happened to it."""
    positions: Ints
    """[users, candidates]: position in the list it was shown in, from 1; 0 = not shown."""
    propensities: Floats
    """[users, candidates]: chance with which it was."""

    def __len__(self) -> int:
        return len(self.user_ids)

    def __getitem__(self, users: slice | npt.NDArray[np.int64]) -> RankingExamples:
        """Of a slice a view, of numbers a copy."""
        chosen = self.user_ids[users] if isinstance(users, slice) else [self.user_ids[user] for user in users]
        return RankingExamples(chosen, *(getattr(self, each.name)[users] for each in fields(self)[1:]))

    @classmethod
    def blank(cls, user_ids: Sequence[str], longest: int) -> RankingExamples:
        """Lists without a candidate, to be filled."""
        shape = (len(user_ids), longest)
        present = np.zeros(shape, bool)
        return cls(
            list(user_ids),
            np.zeros((*shape, len(NUMERIC)), np.float32),
            np.zeros((*shape, len(CATEGORICAL)), np.int32),
            np.zeros(shape, np.float32),
            present,
            **nothing_happened(present),
        )


def nothing_happened(present: npt.NDArray[np.bool_]) -> dict[str, npt.NDArray[Any]]:
    """Outcomes, positions and propensities of candidates of which only the taken ones are known."""
    return {
        "outcomes": np.zeros((*present.shape, len(OUTCOMES)), np.float32),
        "positions": np.zeros(present.shape, np.int32),
        "propensities": np.ones(present.shape, np.float32),
    }


def target_counts(user_ids: Sequence[str], targets: Mapping[str, tuple[int, int]]) -> npt.NDArray[np.int64]:
    """[users, 2]: all targets and new targets of each user, from `targets` by user id."""
    return np.array([targets.get(user, (0, 0)) for user in user_ids], np.int64).reshape(-1, 2)
