"""Reads lists that a recommender wrote, in the item numbers of the ground truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headrace.errors import BadInputError
from headrace.events.ids import with_id_texts
from models.evaluation.baselines import popularity
from models.evaluation.ground_truth import GroundTruth, Task
from models.evaluation.model_score import LONG
from models.metrics.ranking import NO_ITEM


def read_lists(path: Path, ground_truth: GroundTruth, task: Task) -> npt.NDArray[np.int32]:
    """[users of the task, 500] item numbers from a file of (user_id, rank from 1, item_id).

    A user who is not in the file gets the popular list; an item outside the catalogue keeps its position, as a miss.
    """
    try:
        table = pq.read_table(path, columns=["user_id", "rank", "item_id"], partitioning=None)
        table = with_id_texts(table, str(path))
    except (OSError, KeyError, pa.ArrowInvalid) as error:
        raise BadInputError(f"{path}: no lists of user_id, rank, item_id ({error})", "Write them again") from None
    users = ground_truth.tasks[task].users
    names = pa.array([ground_truth.user_ids[user] for user in users], pa.string())
    row = pc.fill_null(pc.index_in(table.column("user_id"), value_set=names), -1).to_numpy()
    encoded = table.column("item_id").combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    known = pa.array(ground_truth.catalogue.item_ids, pa.string())
    number = pc.index_in(encoded.dictionary, value_set=known).to_numpy(zero_copy_only=False)
    unknown = np.isnan(number)
    number = np.where(unknown, len(known) + np.arange(len(number)), number).astype(np.int32)
    item = number[encoded.indices.to_numpy()]
    rank = table.column("rank").to_numpy()
    wanted = (row >= 0) & (rank >= 1) & (rank <= LONG)
    lists = np.full((len(users), LONG), NO_ITEM, np.int32)
    lists[row[wanted], rank[wanted] - 1] = item[wanted]
    missing = ~np.isin(np.arange(len(users)), row)
    lists[missing] = popularity(ground_truth, task, LONG)[missing]
    return lists
