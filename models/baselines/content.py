"""Content-based: items whose words are similar to those of the items the user took. Uses no other users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, PositiveFloat, PositiveInt
from scipy import sparse

from models.baselines.interactions import Floats, Interactions, Rows
from models.baselines.interface import Baseline
from models.baselines.neighbours import unit_rows


class ContentConfig(BaseModel):
    half_life_days: PositiveFloat = 84.0
    """Half-life of an interaction's weight, in days."""
    least_items: PositiveInt = 2
    """Words that occur in fewer items are ignored."""


class Content(Baseline):
    """Cosine between the TF-IDF vectors of an item and of all that the user took. Items without words come last."""

    name: ClassVar = "content (TF-IDF)"
    zero_is_unknown: ClassVar = True

    def __init__(self, config: ContentConfig | None = None) -> None:
        self.config = config or ContentConfig()

    def _learn(self, events: Interactions) -> None:
        self._items = tf_idf(events.texts or [""] * events.shape[1], self.config.least_items)
        self._profiles = unit_rows(events.counts(self.config.half_life_days) @ self._items)
        self._by_word = self._items.T.tocsr()

    def scores(self, users: Rows) -> Floats:
        """See the interface."""
        return (self._profiles[users] @ self._by_word).toarray().astype(np.float32)


def tf_idf(texts: Sequence[str], least_items: int) -> sparse.csr_matrix:
    """[texts, words] with rows of length 1: log(1 + count) × log of how rare the word is."""
    lists = pc.split_pattern_regex(pc.utf8_lower(pa.array(texts, pa.string())), r"[^\pL\pN]+")
    owner, words = pc.list_parent_indices(lists).to_numpy(), pc.list_flatten(lists).dictionary_encode()
    number = words.indices.to_numpy()
    wanted = np.array([bool(word) for word in words.dictionary.to_pylist()], bool)[number] if len(number) else number
    cells = (np.ones(len(number), np.float32)[wanted], (owner[wanted], number[wanted]))
    counts = sparse.coo_matrix(cells, shape=(len(texts), max(len(words.dictionary), 1))).tocsr()
    items_of_word = np.bincount(counts.indices, minlength=counts.shape[1])
    rarity = np.where(items_of_word >= least_items, np.log(len(texts) / np.maximum(items_of_word, 1)), 0.0)
    counts.data = np.log1p(counts.data)
    return unit_rows(counts @ sparse.diags(rarity.astype(np.float32)))
