"""Which items go with which: EASE over the users' own items, cut to each item's strongest neighbours.

EASE (Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019) is the linear model that predicts each
item of a user from the others: B = −P / diag(P) off the diagonal, P = (XᵀX + ridge · I)⁻¹. With fewer users than items
the inverse is taken on the users' side (Woodbury), block by block of items, so that P is never in memory whole.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import scipy.linalg
import scipy.sparse as sparse

from headrace.neighbours import own_weights
from headrace.settings_jobs import TrainingSettings
from headrace.tables import GOLD_USER_ITEM_FEATURES
from models.gold import Lake
from models.ridge import inverse_of

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_Inverse: TypeAlias = tuple[Callable[[int, int], Floats], Floats]
"""Rows of P by their begin and end, and P's diagonal."""
_BLOCK = 1000
"""Items whose weights to all others are computed at once."""


def neighbour_table(lake: Lake, day: date, items: pa.Table, training: TrainingSettings) -> pa.Table:
    """The release's table of neighbours (see `headrace.release`), from what users took until `day`.

    `items` is the item table: only the `neighbour_items` of them with most users take part, because memory and time
    grow with the square of their number.
    """
    users_of = items.column("users_total").to_numpy()
    enough = np.flatnonzero(users_of >= training.neighbour_least_users)
    kept = np.sort(enough[np.argsort(-users_of[enough], kind="stable")][: training.neighbour_items])
    pairs = lake.read(GOLD_USER_ITEM_FEATURES, day, ["user_id", "item_id", "decayed_count"])
    taken = own_matrix(pairs, items.column("item_id").take(pa.array(kept)))
    return _table(*strongest_weights(taken, kept, training.neighbour_ridge, training.neighbours))


def own_matrix(pairs: pa.Table, item_ids: pa.ChunkedArray) -> sparse.csr_matrix:
    """[users, items]: the weight of each user's items, of those in `item_ids`; in an order that rows do not change."""
    place = pc.index_in(pairs.column("item_id"), value_set=item_ids)
    known = pairs.append_column("place", place).filter(pc.is_valid(place)).sort_by("user_id")
    users = known.column("user_id").combine_chunks().dictionary_encode()
    weights = own_weights(known.column("decayed_count").to_numpy())
    rows, columns = users.indices.to_numpy(), known.column("place").to_numpy()
    return sparse.csr_matrix((weights, (rows, columns)), shape=(len(users.dictionary), len(item_ids)))


def strongest_weights(taken: sparse.csr_matrix, names: Ints, ridge: float, number: int) -> tuple[Ints, Ints, Floats]:
    """(item, neighbour, weight): of each item of `taken` [users, items] the `number` largest EASE weights above 0."""
    users, items = taken.shape
    if not items:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
    found: list[tuple[Ints, Ints, Floats]] = []
    block_of, diagonal = _by_users(taken, ridge) if users < items else _by_items(taken, ridge)
    for begin in range(0, items, _BLOCK):
        weights = block_of(begin, min(begin + _BLOCK, items)) / -diagonal
        size = len(weights)
        weights[np.arange(size), begin + np.arange(size)] = 0
        best = np.argpartition(-weights, min(number, items - 1), axis=1)[:, :number]
        values = np.take_along_axis(weights, best, axis=1)
        item, place = np.nonzero(values > 0)
        found.append((names[begin + item], names[best[item, place]], values[item, place]))
    item, neighbour, value = (np.concatenate(part) for part in zip(*found, strict=True))
    return item, neighbour, value


def _by_users(taken: sparse.csr_matrix, ridge: float) -> _Inverse:
    dense = taken.toarray()
    gram = dense @ dense.T
    gram[np.diag_indices_from(gram)] += ridge
    lower = np.linalg.cholesky(gram.astype(np.float64)).astype(np.float32)
    half = scipy.linalg.solve_triangular(lower, dense, lower=True, overwrite_b=True, check_finite=False)
    diagonal = (1 - np.einsum("ij,ij->j", half, half)) / ridge

    def block(begin: int, end: int) -> Floats:
        return -(half[:, begin:end].T @ half) / ridge

    return block, diagonal


def _by_items(taken: sparse.csr_matrix, ridge: float) -> _Inverse:
    gram = (taken.T @ taken).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += ridge
    inverse = inverse_of(gram).astype(np.float32)
    return (lambda begin, end: inverse[begin:end].copy()), np.diagonal(inverse).copy()


def _table(item: Ints, neighbour: Ints, weight: Floats) -> pa.Table:
    order = np.lexsort((neighbour, -weight, item))
    return pa.table(
        {
            "item_row": pa.array(item[order], pa.int32()),
            "neighbour_row": pa.array(neighbour[order], pa.int32()),
            "weight": pa.array(weight[order], pa.float32()),
        }
    )
