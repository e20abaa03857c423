"""The release's table of neighbours: for each item the other items with the largest weights."""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sparse

from headrace.release.catalogue import CODE_COLUMNS
from headrace.release.neighbours import own_weights
from headrace.settings.jobs import TrainingSettings
from headrace.tables import GOLD_USER_ITEM_FEATURES
from models.neighbours.models import NEIGHBOUR_MODELS, Block, Known
from models.training.gold import Lake

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_BLOCK = 1000
"""Items whose weights to all others are computed at once."""
_WORDS = ("title", *CODE_COLUMNS, "text")


def neighbour_table(lake: Lake, day: date, items: pa.Table, training: TrainingSettings) -> pa.Table:
    """The release's table of neighbours (see `headrace.release.bundle`), from interactions until the end of `day`.

    `items` is the item table: only the `neighbour_items` of them with most users take part, because memory and time
    grow with the square of their number.
    """
    users_of = items.column("users_total").to_numpy()
    least = 0 if training.neighbour_model == "content" else training.neighbour_least_users
    enough = np.flatnonzero(users_of >= least)
    kept = np.sort(enough[np.argsort(-users_of[enough], kind="stable")][: training.neighbour_items])
    if not len(kept):
        return _table(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
    pairs = lake.read(GOLD_USER_ITEM_FEATURES, day, ["user_id", "item_id", "decayed_count"])
    chosen = items.take(pa.array(kept))
    known = Known(own_matrix(pairs, chosen.column("item_id")), _texts(chosen))
    block_of = NEIGHBOUR_MODELS[training.neighbour_model](known, training)
    return _table(*strongest_weights(block_of, kept, training.neighbours))


def own_matrix(pairs: pa.Table, item_ids: pa.ChunkedArray) -> sparse.csr_matrix:
    """[users, items]: the weight of each user's items, of those in `item_ids`; in an order that rows do not change."""
    row = pc.index_in(pairs.column("item_id"), value_set=item_ids)
    known = pairs.append_column("row", row).filter(pc.is_valid(row)).sort_by("user_id")
    users = known.column("user_id").combine_chunks().dictionary_encode()
    weights = own_weights(known.column("decayed_count").to_numpy())
    rows, columns = users.indices.to_numpy(), known.column("row").to_numpy()
    return sparse.csr_matrix((weights, (rows, columns)), shape=(len(users.dictionary), len(item_ids)))


def strongest_weights(block_of: Block, names: Ints, number: int) -> tuple[Ints, Ints, Floats]:
    """(item, neighbour, weight): of each item the `number` weights to others farthest from 0, by the items' `names`."""
    items = len(names)
    found: list[tuple[Ints, Ints, Floats]] = []
    for begin in range(0, items, _BLOCK):
        weights = block_of(begin, min(begin + _BLOCK, items))
        size = len(weights)
        weights[np.arange(size), begin + np.arange(size)] = 0
        best = np.argpartition(-np.abs(weights), min(number, items - 1), axis=1)[:, :number]
        values = np.take_along_axis(weights, best, axis=1)
        item, column = np.nonzero(values)
        found.append((names[begin + item], names[best[item, column]], values[item, column]))
    item, neighbour, value = (np.concatenate(part) for part in zip(*found, strict=True))
    return item, neighbour, value


def _texts(items: pa.Table) -> list[str]:
    words = [pc.fill_null(items.column(name).cast(pa.string()), "") for name in _WORDS if name in items.column_names]
    return list(pc.binary_join_element_wise(*words, " ").to_pylist())


def _table(item: Ints, neighbour: Ints, weight: Floats) -> pa.Table:
    order = np.lexsort((neighbour, -weight, item))
    return pa.table(
        {
            "item_row": pa.array(item[order], pa.int32()),
            "neighbour_row": pa.array(neighbour[order], pa.int32()),
            "weight": pa.array(weight[order], pa.float32()),
        }
    )
