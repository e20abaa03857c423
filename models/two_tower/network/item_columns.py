"""The item tower's inputs from the item table: codes, classes of price and age, hashed words."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.release.catalogue import CODE_COLUMNS, encode
from headrace.settings.jobs import TrainingSettings
from models.two_tower.network.model import ItemColumns

WORDS_PER_ITEM = 8
FRESH_DAYS = (7, 14, 28, 56, 112)
"""An item up to so many days old is of the class; older ones are of one more."""
_WORD = re.compile(r"\w+")


def item_columns(items: pa.Table, vocabularies: Mapping[str, Sequence[str]], training: TrainingSettings) -> ItemColumns:
    """Columns of all items; price classes are cut so that each holds as many of the priced items."""
    columns = [encode(items.column(name).to_pylist(), list(vocabularies[name])) for name in CODE_COLUMNS]
    sizes = [len(vocabularies[name]) + 1 for name in CODE_COLUMNS]
    columns.append(_price_classes(items.column("price").to_numpy(), training.price_buckets))
    sizes.append(training.price_buckets + 1)
    if training.item_freshness:
        columns.append(_age_classes(items.column("age_days").to_numpy()))
        sizes.append(len(FRESH_DAYS) + 2)
    codes = np.zeros((items.num_rows + 1, len(columns)), np.int32)
    codes[1:] = np.stack(columns, axis=1)
    return ItemColumns(codes, tuple(sizes), _words(items, training.word_buckets), training.word_buckets)


def _price_classes(prices: npt.NDArray[np.float32], classes: int) -> npt.NDArray[np.int32]:
    """1 to `classes`, cheapest first; 0 where the price is unknown."""
    logs = np.log1p(prices)
    known = np.isfinite(logs)
    result = np.zeros(len(prices), np.int32)
    if known.any():
        cuts = np.quantile(logs[known], np.linspace(0, 1, classes + 1)[1:-1])
        result[known] = np.searchsorted(cuts, logs[known], side="right") + 1
    return result


def _age_classes(age_days: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """1 to len(FRESH_DAYS) + 1, freshest first; 0 where the age is unknown."""
    classes = np.searchsorted(FRESH_DAYS, age_days, side="left") + 1
    return np.where(np.isfinite(age_days), classes, 0).astype(np.int32)


def _words(items: pa.Table, buckets: int) -> npt.NDArray[np.int32]:
    """[items + 1, words]: hash buckets from 1 of the first distinct words; 0 = none.

    An item without a title has its id as title, which adds nothing to the id's own vector.
    """
    words = np.zeros((items.num_rows + 1, WORDS_PER_ITEM), np.int32)
    texts = zip(*(items.column(name).to_pylist() for name in ("item_id", "title", "text")), strict=True)
    for row, (item_id, title, text) in enumerate(texts, start=1):
        found = dict.fromkeys(_WORD.findall(f"{'' if title == item_id else title} {text or ''}".lower()))
        hashed = [zlib.crc32(word.encode()) % (buckets - 1) + 1 for word in list(found)[:WORDS_PER_ITEM]]
        words[row, : len(hashed)] = hashed
    return words
