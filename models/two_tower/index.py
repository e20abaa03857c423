"""The ScaNN index over the item embeddings, built until it finds what brute force finds."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

BRUTE_FORCE_ITEMS = 20_000
"""Up to so many items every item is scored: faster than a tree and exact."""
DEPTH = 500
ENOUGH = 0.95
_QUERIES = 200
_SAMPLE_PER_LEAF = 100
"""Items that the tree is trained on, for each of its parts."""
_ITEMS_PER_DIMENSION_BLOCK = 2


@dataclass(frozen=True)
class IndexReport:
    """How good the index is."""

    recall: float
    """Share of the true best `DEPTH` items found, mean over users."""
    leaves: int
    """Parts of the tree; 0 = brute force."""
    leaves_searched: int


def build_index(embeddings: npt.NDArray[np.float32], users: npt.NDArray[np.float32], folder: Path) -> IndexReport:
    """Build the index, check it with the `users`' vectors and write it to `folder`.

    More partitions of the tree are searched until `ENOUGH` of the exact nearest items are found; if necessary all.
    """
    from scann.scann_ops.py import scann_ops_pybind

    logging.getLogger("scann").setLevel(logging.ERROR)
    queries = users[:: max(1, len(users) // _QUERIES)][:_QUERIES]
    depth = min(DEPTH, len(embeddings))
    ground_truth = np.argpartition(-(queries @ embeddings.T), depth - 1, axis=1)[:, :depth]
    threads = os.cpu_count() or 1
    builder = scann_ops_pybind.builder(embeddings, depth, "dot_product")
    if len(embeddings) <= BRUTE_FORCE_ITEMS:
        searcher = builder.score_brute_force().build()
        report = IndexReport(_recall(searcher, queries, ground_truth, depth), 0, 0)
    else:
        leaves = int(np.sqrt(len(embeddings)))
        searched = max(1, leaves // 5)
        while True:
            builder = scann_ops_pybind.builder(embeddings, depth, "dot_product").set_n_training_threads(threads)
            tree = builder.tree(leaves, searched, training_sample_size=min(len(embeddings), _SAMPLE_PER_LEAF * leaves))
            quantised = tree.score_ah(_ITEMS_PER_DIMENSION_BLOCK, anisotropic_quantization_threshold=0.2)
            searcher = quantised.reorder(min(4 * depth, len(embeddings))).build()
            report = IndexReport(_recall(searcher, queries, ground_truth, depth), leaves, searched)
            if report.recall >= ENOUGH or searched == leaves:
                break
            searched = min(leaves, searched * 2)
    folder.mkdir(parents=True, exist_ok=True)
    searcher.serialize(str(folder), relative_path=True)
    return report


def _recall(
    searcher: object, queries: npt.NDArray[np.float32], ground_truth: npt.NDArray[np.int64], depth: int
) -> float:
    found, _ = searcher.search_batched(queries, final_num_neighbors=depth)  # type: ignore[attr-defined]
    shares = [len(np.intersect1d(mine, best)) / depth for mine, best in zip(found, ground_truth, strict=True)]
    return float(np.mean(shares)) if shares else 1.0
