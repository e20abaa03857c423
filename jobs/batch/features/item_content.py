"""Content of an item as a vector: TF-IDF of its title, categories, maker and text, reduced by an SVD.

Words are hashed into `BUCKETS` columns and counted once an item. How often two columns occur together is counted on
the workers in whole numbers, so that the vectors do not depend on the order of the rows; only that matrix, whose size
does not grow with the items, comes to the driver. Vectors have length 1 (0 without a word) and are comparable within
one day's partition, because each computation has its own axes.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headrace.settings.jobs import FeatureSettings
from headrace.tables import GOLD_ITEM_CONTENT, SILVER_ITEMS, end_of
from jobs.batch.clean.versions import current_at
from jobs.batch.engine.lake import Lake
from jobs.batch.engine.verified import published_versions

BUCKETS = 2048
CATEGORY_PATH = ("category_1", "category_2", "category_3", "brand", "maker")
TEXTS = ("title", "text")
_WORD = re.compile(r"\w+")
_ROUNDS = 12
_SPARE = 8

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


def write_item_content(lake: Lake, settings: FeatureSettings, day: date) -> int:
    """Replace the partition of `day`, if descriptions or length changed since the last one; returns the rows."""
    as_of = end_of(day)
    described = current_at(lake.read(SILVER_ITEMS, published_versions(lake)[SILVER_ITEMS.path]), as_of).select(
        "item_id", *CATEGORY_PATH, *TEXTS
    )
    hashed = F.xxhash64(F.to_json(F.struct(*described.columns)))
    number, content = described.agg(F.count(F.lit(1)), F.bit_xor(hashed)).head()
    made_of = {"items": number, "content": content, "length": settings.content_length}
    if not number or lake.note(GOLD_ITEM_CONTENT, "content_of", None) == made_of:
        return 0
    rows = item_content(described, settings.content_length)
    times = {name: F.lit(as_of) for name in ("event_timestamp", "created_timestamp")}
    return lake.overwrite_day(rows.withColumns(times), GOLD_ITEM_CONTENT, day, {"content_of": made_of})


def item_content(items: DataFrame, length: int) -> DataFrame:
    """`item_id` and `content` of every item, `length` floats; items are the current rows of `silver.items`."""
    described = items.select("item_id", *CATEGORY_PATH, *TEXTS)
    pairs = described.mapInArrow(_count_pairs, "pair long, items long")
    counted = pairs.groupBy("pair").agg(F.sum("items").alias("items")).toArrow()
    together = np.zeros(BUCKETS * BUCKETS)
    together[counted.column("pair").to_numpy()] = counted.column("items").to_numpy()
    axes = content_axes(together.reshape(BUCKETS, BUCKETS), described.count(), length)
    return described.mapInArrow(_Projection(axes), "item_id string, content array<float>")


def content_axes(together: Floats, items: int, length: int) -> Floats:
    """[columns, length]: contribution of a column to each number of an item's vector.

    `together` [columns, columns] counts the items that have both. The axes are the first right singular vectors of the
    TF-IDF matrix, by subspace iteration from a fixed start (Halko, Martinsson and Tropp, 2011, algorithm 4.4).
    """
    weights = np.log((1 + items) / (1 + np.diag(together))) + 1
    gram = together * np.outer(weights, weights)
    basis = np.random.default_rng(0).standard_normal((len(gram), min(length + _SPARE, len(gram))))
    for _ in range(_ROUNDS):
        basis, _ = np.linalg.qr(gram @ basis)
    _, rotation = np.linalg.eigh(basis.T @ gram @ basis)
    axes = (basis @ rotation)[:, ::-1][:, :length]
    largest = np.abs(axes).argmax(axis=0)
    signs = np.sign(axes[largest, np.arange(axes.shape[1])])
    scaled: Floats = axes * signs * weights[:, None]
    return scaled


def columns_of(item: dict[str, str | None]) -> Places:
    """The columns that an item has, in order: its words, and each level of its category path as a whole."""
    tokens = [f"{name}={value}" for name in CATEGORY_PATH if (value := item[name])]
    for name in TEXTS:
        tokens += _WORD.findall((item[name] or "").lower())
    return np.unique(np.fromiter((zlib.crc32(token.encode()) % BUCKETS for token in tokens), np.int64))


def _count_pairs(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """How many of a partition's items have both columns of a pair: pair = first × BUCKETS + second."""
    counts = np.zeros(BUCKETS * BUCKETS, np.int64)
    for batch in batches:
        for item in batch.to_pylist():
            columns = columns_of(item)
            counts[(columns[:, None] * BUCKETS + columns).ravel()] += 1  # each pair once per item
    pairs = np.flatnonzero(counts)
    yield pa.record_batch([pa.array(pairs), pa.array(counts[pairs])], names=["pair", "items"])


class _Projection:
    """Items → their vectors, on a worker."""

    def __init__(self, axes: Floats) -> None:
        self._axes = axes

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            vectors = [self._vector(columns_of(item)).tolist() for item in batch.to_pylist()]
            content = pa.array(vectors, pa.list_(pa.float32()))
            yield pa.record_batch([batch.column("item_id"), content], names=["item_id", "content"])

    def _vector(self, columns: Places) -> Floats:
        vector: Floats = self._axes[columns].sum(axis=0)
        size = np.linalg.norm(vector)
        return vector / size if size > 0 else vector
