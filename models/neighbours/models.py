"""Item-to-item weights of several models: rows of an item × item matrix, computed block by block.

Each is the classical model as a linear one: a user's score of an item is the sum, over the items that the user took, of
their rows. The models are described in `models/baselines/`, where the same ones are evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse as sparse

from headrace.settings.jobs import TrainingSettings
from models.baselines.content import ContentConfig, tf_idf
from models.baselines.factors import FactorsConfig, SparkAlsConfig, implicit_vectors, spark_vectors
from models.baselines.neighbours import by_item, by_user
from models.baselines.ridge import inverse_of

Floats = npt.NDArray[np.float32]
Block: TypeAlias = Callable[[int, int], Floats]
"""[end − begin, items]: weights from the items `begin` to `end` to all items."""


@dataclass(frozen=True)
class Known:
    """The training data."""

    taken: sparse.csr_matrix
    """[users, items]: how much each own item of a user counts."""
    texts: Sequence[str] = ()
    """[items]: words that describe each item."""


def ease(known: Known, training: TrainingSettings) -> Block:
    """EASE (Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019), the linear model that predicts
    each item of a user from the others: B = −P / diag(P) off the diagonal, P = (XᵀX + ridge · I)⁻¹. With fewer users
    than items the inverse is computed on the users' side (Woodbury), so that P is never completely in memory.
    """
    users, items = known.taken.shape
    by_users = users < items
    rows_of, diagonal = (_by_users if by_users else _by_items)(known.taken, training.neighbour_ridge)
    return lambda begin, end: rows_of(begin, end) / -diagonal


def item_knn(known: Known, _: TrainingSettings) -> Block:
    """Cosine between the items' users; a user is weighted by the logarithm of its rarity."""
    items = by_item(_binary(known.taken))
    return _products(items, items.T.tocsr())


def user_knn(known: Known, _: TrainingSettings) -> Block:
    """Items of the users who took the item, weighted by the cosine between users, of whom all
    count and not the nearest only, for then it is a sum over the own items. Items count by their rarity."""
    taken = _binary(known.taken)
    return _products(by_user(taken).T.tocsr(), taken)


def ials(known: Known, training: TrainingSettings) -> Block:
    """Matrix factorisation by the `implicit` package."""
    config = FactorsConfig(seed=training.seed)
    return _of_vectors(implicit_vectors(known.taken, config)[1], config.regularisation)


def spark_als(known: Known, training: TrainingSettings) -> Block:
    """Matrix factorisation by Spark, in a process of its own; it scales the regularisation by a user's pairs."""
    config = SparkAlsConfig(seed=training.seed)
    pairs = known.taken.nnz / max(known.taken.shape[0], 1)
    return _of_vectors(spark_vectors(known.taken, config)[1], config.regularisation * pairs)


def content(known: Known, _: TrainingSettings) -> Block:
    """Cosine of the items' TF-IDF vectors."""
    words = tf_idf(known.texts, ContentConfig().least_items)
    return _products(words, words.T.tocsr())


NEIGHBOUR_MODELS: Mapping[str, Callable[[Known, TrainingSettings], Block]] = {
    "ease": ease,
    "item_knn": item_knn,
    "user_knn": user_knn,
    "ials": ials,
    "spark_als": spark_als,
    "content": content,
}
"""By their name in `training.neighbour_model`."""


def _binary(taken: sparse.csr_matrix) -> sparse.csr_matrix:
    binary = taken.copy()
    binary.data = np.ones_like(binary.data)
    return binary


def _products(left: sparse.csr_matrix, right: sparse.csr_matrix) -> Block:
    return lambda begin, end: (left[begin:end] @ right).toarray().astype(np.float32)


def _of_vectors(items: Floats, regularisation: float) -> Block:
    """A user's vector is the ridge regression of the interactions on the items' vectors."""
    gram = (items.T @ items).astype(np.float64)
    gram[np.diag_indices_from(gram)] += regularisation
    folded = np.linalg.solve(gram, items.T).astype(np.float32)
    return lambda begin, end: items[begin:end] @ folded


def _by_users(taken: sparse.csr_matrix, ridge: float) -> tuple[Block, Floats]:
    """Rows of P, and its diagonal."""
    dense = taken.toarray()
    gram = dense @ dense.T
    gram[np.diag_indices_from(gram)] += ridge
    lower = np.linalg.cholesky(gram.astype(np.float64)).astype(np.float32)
    half = scipy.linalg.solve_triangular(lower, dense, lower=True, overwrite_b=True, check_finite=False)
    diagonal = (1 - np.einsum("ij,ij->j", half, half)) / ridge

    def block(begin: int, end: int) -> Floats:
        return -(half[:, begin:end].T @ half) / ridge

    return block, diagonal


def _by_items(taken: sparse.csr_matrix, ridge: float) -> tuple[Block, Floats]:
    gram = (taken.T @ taken).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += ridge
    inverse = inverse_of(gram).astype(np.float32)
    return (lambda begin, end: inverse[begin:end].copy()), np.diagonal(inverse).copy()
