"""Training data of the ranker: each user's candidates with features as served, and which of them were taken.

The arrays use most of a training's memory, so they are allocated where TensorFlow reads them in place
(`models.training.in_place`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.errors import BadInputError
from headrace.features.ranking import CATEGORICAL, NUMERIC
from headrace.outcomes import OUTCOMES
from models.training.in_place import joined_in_place, rows_in_place, zeros_in_place

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

CANDIDATE_COLUMNS = ("user_id", "item_rows", "numeric", "categorical", "labels")
HAPPENED_COLUMNS = ("outcomes", "positions", "propensities")
"""Missing in files of earlier versions: then no other outcomes and no impressions are known."""


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

    def __getitem__(self, users: npt.NDArray[np.int64]) -> RankingExamples:
        return RankingExamples(
            [self.user_ids[user] for user in users],
            *(rows_in_place(getattr(self, each.name), users) for each in fields(self)[1:]),
        )


def joined(parts: Sequence[RankingExamples]) -> RankingExamples:
    """All users of all parts, padded to the longest list of all."""
    if len(parts) == 1:
        return parts[0]
    longest = max(part.present.shape[1] for part in parts)

    def together(name: str) -> npt.NDArray[Any]:
        return joined_in_place([_longer(getattr(part, name), longest) for part in parts])

    users = [user for part in parts for user in part.user_ids]
    return RankingExamples(users, *(together(each.name) for each in fields(RankingExamples)[1:]))


def _longer(array: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
    missing = length - array.shape[1]
    return np.pad(array, [(0, 0), (0, missing), *[(0, 0)] * (array.ndim - 2)]) if missing else array


def read_examples(path: Path, most_users: int) -> RankingExamples:
    """At most `most_users` users of a file that `python -m serving.offline candidates` wrote.

    Raises BadInputError if the file is missing, was made with other features, has fewer than ten users or no candidates
    to train on, or if a number in it is not finite.
    """
    try:
        found = pq.read_schema(path).names
        columns = [*CANDIDATE_COLUMNS, *(name for name in HAPPENED_COLUMNS if name in found)]
        table = pq.read_table(path, columns=columns).slice(0, most_users)
    except (OSError, pa.ArrowInvalid) as error:
        raise BadInputError(
            f"{path}: no candidates to train on ({error})", "Write them: python -m serving.offline candidates --help"
        ) from None
    if table.num_rows < 10:
        raise BadInputError(
            f"{path}: {table.num_rows} users cannot train a ranker", "Import events of ten users or more"
        )
    lengths = np.array([len(rows) for rows in table.column("item_rows")], np.int64)
    present = np.arange(lengths.max()) < lengths[:, None]
    examples = RankingExamples(
        user_ids=table.column("user_id").to_pylist(),
        numeric=_padded(table, "numeric", present, len(NUMERIC), path),
        categorical=_padded(table, "categorical", present, len(CATEGORICAL), path),
        taken=_padded(table, "labels", present, 1, path)[:, :, 0],
        present=present,
        **_happened(table, present, path),
    )
    _require_numbers(examples, path)
    taken, candidates = int((examples.taken > 0).sum()), int(present.sum())
    if taken in (0, candidates):
        raise BadInputError(
            f"{path}: {'all' if taken else 'none'} of the {candidates} candidates were taken: the ranker needs both",
            "Import events of the last training.holdout_days too, and of more users",
        )
    return examples


def _happened(table: pa.Table, present: npt.NDArray[np.bool_], path: Path) -> dict[str, npt.NDArray[Any]]:
    widths = dict(zip(HAPPENED_COLUMNS, (len(OUTCOMES), 1, 1), strict=True))
    if set(widths) <= set(table.column_names):
        read = {name: _padded(table, name, present, width, path) for name, width in widths.items()}
        return {name: array if name == "outcomes" else array[:, :, 0] for name, array in read.items()}
    return nothing_happened(present)


def nothing_happened(present: npt.NDArray[np.bool_]) -> dict[str, npt.NDArray[Any]]:
    """Outcomes, positions and propensities of candidates of which only the taken ones are known."""
    return {
        "outcomes": np.zeros((*present.shape, len(OUTCOMES)), np.float32),
        "positions": np.zeros(present.shape, np.int32),
        "propensities": np.ones(present.shape, np.float32),
    }


def _require_numbers(examples: RankingExamples, path: Path) -> None:
    wrong = ~np.isfinite(examples.numeric)
    if wrong.any():
        user, candidate, column = (int(each) for each in np.argwhere(wrong)[0])
        value = examples.numeric[user, candidate, column]
        raise BadInputError(
            f"{path}: '{NUMERIC[column]}' of user {examples.user_ids[user]} is {value}",
            "Check gold.user_features and gold.item_features of the day, then write the file again",
        )


def target_counts(examples: RankingExamples, targets: Mapping[str, tuple[int, int]]) -> npt.NDArray[np.int64]:
    """[users, 2]: all targets and new targets of each user, from `targets` by user id."""
    return np.array([targets.get(user, (0, 0)) for user in examples.user_ids], np.int64).reshape(-1, 2)


def _padded(table: pa.Table, name: str, present: npt.NDArray[np.bool_], width: int, path: Path) -> npt.NDArray[Any]:
    flat = table.column(name).combine_chunks()
    flat = pa.concat_arrays(flat.chunks) if isinstance(flat, pa.ChunkedArray) else flat
    values = flat.flatten().to_numpy(zero_copy_only=False)
    if len(values) != present.sum() * width:
        raise BadInputError(
            f"{path}: '{name}' holds {len(values)} values for {present.sum()} candidates, expected {width} each",
            "Write the file again with this version of Headrace",
        )
    result = zeros_in_place((*present.shape, width), values.dtype)
    result[present] = values.reshape(-1, width)
    return result
