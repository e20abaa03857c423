"""Reads the files that `python -m serving.offline candidates` writes, a few users at a time, into existing arrays.

First the users and the lengths of their lists, so that one array is made for all files; then the lists.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headrace.errors import BadInputError
from headrace.features.ranking import CATEGORICAL, NUMERIC
from headrace.outcomes import OUTCOMES
from headrace.user_sample import sample_of
from models.ranker.examples.examples import Ints, RankingExamples
from models.training.validation_users import validation_fractions

HAPPENED = {"outcomes": len(OUTCOMES), "positions": 1, "propensities": 1}
"""Columns and their values for each candidate. Missing in files of earlier versions: then none of it is known."""
LISTS = {"numeric": len(NUMERIC), "categorical": len(CATEGORICAL), "labels": 1}
_ARRAYS = {"labels": "taken"}
_USERS_AT_ONCE = 256


@dataclass(frozen=True)
class CandidateFile:
    """A file whose lists have not been read yet."""

    path: Path
    user_ids: list[str]
    """Of the users to read, in the order of the hashes by which validation users are chosen."""
    places: npt.NDArray[np.int64]
    """[rows of the file]: index of its user in `user_ids`; -1: not to be read."""
    lengths: npt.NDArray[np.int64]
    """[users]: number of candidates."""

    def fill(self, into: RankingExamples, recode: Callable[[Ints], Ints] = lambda codes: codes) -> None:
        """Read all lists into blank ones; `recode` translates the codes of `CATEGORICAL`.

        Raises BadInputError if the file was made with other features, a number in it is not finite, or none or all of
        the candidates were taken.
        """
        file, row = pq.ParquetFile(self.path), 0
        known = set(HAPPENED) <= set(file.schema_arrow.names)
        for batch in file.iter_batches(_USERS_AT_ONCE, columns=[*LISTS, *(HAPPENED if known else ())]):
            places = self.places[row : row + len(batch)]
            row += len(batch)
            batch = batch.filter(pa.array(places >= 0))
            self._fill(into, places[places >= 0], batch, recode)
        taken, candidates = int((into.taken > 0).sum()), int(into.present.sum())
        if taken in (0, candidates):
            which = "all" if taken else "none"
            raise BadInputError(
                f"{self.path}: {which} of the {candidates} candidates were taken: the ranker needs both",
                "Import events of the last training.holdout_days too, and of more users",
            )

    def _fill(
        self,
        into: RankingExamples,
        places: npt.NDArray[np.int64],
        batch: pa.RecordBatch,
        recode: Callable[[Ints], Ints],
    ) -> None:
        present = np.arange(into.present.shape[1]) < self.lengths[places][:, None]
        into.present[places] = present
        for name in batch.schema.names:
            array = getattr(into, _ARRAYS.get(name, name))
            values = self._padded(batch.column(name), name, present, array.dtype)
            if name == "numeric":
                self._require_numbers(values, places)
            array[places] = recode(values) if name == "categorical" else values.reshape(len(places), *array.shape[1:])

    def _padded(
        self, column: pa.ListArray, name: str, present: npt.NDArray[np.bool_], dtype: npt.DTypeLike
    ) -> npt.NDArray[Any]:
        """[users, candidates, values]"""
        values = column.flatten().to_numpy(zero_copy_only=False)
        width, candidates = {**LISTS, **HAPPENED}[name], int(present.sum())
        if len(values) != candidates * width:
            raise BadInputError(
                f"{self.path}: '{name}' holds {len(values)} values for {candidates} candidates, expected {width} each",
                "Write the file again with this version of Headrace",
            )
        result = np.zeros((*present.shape, width), dtype)
        result[present] = values.reshape(-1, width)
        return result

    def _require_numbers(self, numeric: npt.NDArray[np.float32], places: npt.NDArray[np.int64]) -> None:
        wrong = ~np.isfinite(numeric)
        if wrong.any():
            user, candidate, column = (int(each) for each in np.argwhere(wrong)[0])
            raise BadInputError(
                f"{self.path}: '{NUMERIC[column]}' of user {self.user_ids[places[user]]} is "
                f"{numeric[user, candidate, column]}",
                "Check gold.user_features and gold.item_features of the day, then write the file again",
            )


def open_candidates(path: Path, most_users: int) -> CandidateFile:
    """At most `most_users` users of a file. Raises BadInputError if it is missing or has fewer than ten users."""
    try:
        lacking = set(LISTS) - set(pq.read_schema(path).names)
        table = pq.read_table(path, columns=["user_id", "item_rows"])
        if lacking:
            raise pa.ArrowInvalid(f"no column {', '.join(sorted(lacking))}")
    except (OSError, pa.ArrowInvalid) as error:
        raise BadInputError(
            f"{path}: no candidates to train on ({error})", "Write them: python -m serving.offline candidates --help"
        ) from None
    if table.num_rows < 10:
        raise BadInputError(
            f"{path}: {table.num_rows} users cannot train a ranker", "Import events of ten users or more"
        )
    rows: list[str] = table.column("user_id").to_pylist()
    chosen = sample_of(rows, most_users)
    user_ids = [chosen[user] for user in np.argsort(validation_fractions(chosen), kind="stable")]
    place_of = {user: place for place, user in enumerate(user_ids)}
    places = np.array([place_of.get(user, -1) for user in rows], np.int64)
    lengths = np.zeros(len(user_ids), np.int64)
    counts = pc.list_value_length(table.column("item_rows")).to_numpy()
    lengths[places[places >= 0]] = counts[places >= 0]
    return CandidateFile(path, user_ids, places, lengths)
