"""Files of ranked lists, and of the users that they are for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.errors import BadInputError
from headrace.events.ids import id_texts
from serving.pipeline.recommender import RankedList

LISTS_SCHEMA = pa.schema(
    [("user_id", pa.string()), ("rank", pa.int32()), ("item_id", pa.string()), ("score", pa.float32())]
)


def lists_table(item_ids: Sequence[str], lists: Sequence[tuple[str, RankedList]]) -> pa.Table:
    """One row a place: the lists of these users, best first, by `LISTS_SCHEMA`."""
    lengths = [len(ranked.rows) for _, ranked in lists]
    return pa.table(
        {
            "user_id": pa.array(np.repeat(np.array([user_id for user_id, _ in lists], object), lengths), pa.string()),
            "rank": pa.array(np.concatenate([np.arange(1, length + 1) for length in lengths]), pa.int32()),
            "item_id": pa.array([item_ids[row] for _, ranked in lists for row in ranked.rows], pa.string()),
            "score": pa.array(np.concatenate([ranked.scores for _, ranked in lists]), pa.float32()),
        },
        LISTS_SCHEMA,
    )


@contextmanager
def whole_file(output: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Writes beside `output` and moves there at the end, so that a run that fails leaves no half file."""
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.name}.partial")
    try:
        with pq.ParquetWriter(partial, schema, compression="zstd") as writer:
            yield writer
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)


def read_user_ids(file: Path) -> list[str]:
    """The distinct ids of the column `user_id`. Raises BadInputError if the file has none, or what is no id."""
    try:
        column = pq.read_table(file, columns=["user_id"], partitioning=None).column("user_id")
        return id_texts(column, "user_id", str(file)).drop_null().unique().to_pylist()
    except (OSError, KeyError, pa.ArrowInvalid) as error:
        raise BadInputError(f"{file}: no Parquet file with a column user_id ({error})") from None
