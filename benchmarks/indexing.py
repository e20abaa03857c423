"""Catalogues of growing size: peak memory of training, embedding and indexing, seconds, and the time of a look-up.

    python -m benchmarks.indexing [--sizes 10000 100000 1000000]

Each size is a process of its own: items with categories, brand, maker, price and words are learned for a few steps
(only the memory of that is of interest), embedded by an item tower of the default size and indexed as a release is. A
look-up is the best 500 items for one user, one at a time, against NumPy's inner products with every item. The weights
are random, those of categories larger than those of single items, so that items of a kind lie together as in a trained
model; a user is the pooled vectors of a history.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.report import last_line, peak_mib, report
from headrace.settings.jobs import TrainingSettings

GOAL_MS, GOAL_RECALL = 2.0, 0.95
DEPTH = 500
STEPS = 20
USERS, LOOKUPS, BRUTE_FORCE_LOOKUPS = 2_000, 1_000, 30
CARDINALITIES = (31, 301, 3_001, 1_001, 5_001, 17)
"""Of the codes of three categories, brand, maker and price."""
_KINDS = 300
Floats = npt.NDArray[np.float32]


def main() -> None:
    """Measure every size in a process of its own, report the largest and the growth."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.indexing", description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], metavar="ITEMS")
    parser.add_argument("--one", type=int, metavar="ITEMS", help="measure this size here and print it as JSON")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one)))
        return
    sizes = []
    for items in sorted(set(given.sizes)):
        sizes.append(last_line("benchmarks.indexing", "--one", str(items)))
        print(_line(sizes[-1]), flush=True)
    small, large = sizes[0], sizes[-1]
    report(
        name="indexing",
        ours=large["lookup_p99_ms"],
        peer=large["brute_force_p50_ms"],
        peer_name="NumPy, inner products with every item, p50",
        ratio=large["brute_force_p50_ms"] / large["lookup_p50_ms"],
        goal=f"p99 <= {GOAL_MS:g} ms, recall@{DEPTH} >= {GOAL_RECALL:g}",
        met=large["lookup_p99_ms"] <= GOAL_MS and large["recall"] >= GOAL_RECALL,
        growth={
            "items": large["items"] / small["items"],
            "seconds": (large["embed_s"] + large["index_s"]) / (small["embed_s"] + small["index_s"]),
            "memory": large["peak_mib_indexed"] / small["peak_mib_indexed"],
            "memory_of_training": large["peak_mib_trained"] / small["peak_mib_trained"],
        },
        sizes=sizes,
    )


def measure(items: int) -> dict[str, Any]:
    """Embed and index so many items, then look up."""
    from models.training.command import native_messages_hidden
    from models.two_tower.architecture import build_model
    from models.two_tower.index import build_index
    from models.two_tower.vectors import item_embeddings, item_vectors
    from serving.pipeline.index import VectorIndex

    random = np.random.default_rng(7)
    kinds = random.integers(0, _KINDS, items)
    events = random.zipf(1.6, items + 1).clip(0, 100_000).astype(np.int64)
    model = build_model(_columns(items, kinds), 1, (), 1, events, TrainingSettings())
    model.make_variables()
    _train(model, items)
    trained = peak_mib()
    for table, spread in ((model.item_tower.ids, 0.15), (model.item_tower.codes, 0.25)):
        table.assign(random.normal(0.0, spread, table.shape))
    embed, vectors = _timed(lambda: item_vectors(model, events))
    embedded = peak_mib()
    embeddings = item_embeddings(vectors, np.log1p(events[1:]).astype(np.float32))
    users = _users(embeddings, kinds, random)
    with tempfile.TemporaryDirectory(prefix="headrace-indexing-") as name:
        folder = Path(name).resolve()
        with native_messages_hidden():
            index, found = _timed(lambda: build_index(embeddings, users, folder))
        indexed = peak_mib()
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        searcher = VectorIndex(folder)
    lookups = [_timed(lambda user=user: searcher.nearest(user, DEPTH))[0] for user in users[:LOOKUPS]]
    brute = [_timed(lambda user=user: _best(embeddings, user))[0] for user in users[:BRUTE_FORCE_LOOKUPS]]
    return {
        "items": items,
        "embed_s": round(embed, 2),
        "index_s": round(index, 2),
        "peak_mib_trained": trained,
        "peak_mib_embedded": embedded,
        "peak_mib_indexed": indexed,
        "index_mib": round(size / 2**20, 1),
        "recall": round(found.recall, 4),
        "leaves": found.leaves,
        "leaves_searched": found.leaves_searched,
        "lookup_p50_ms": _ms(lookups, 50),
        "lookup_p99_ms": _ms(lookups, 99),
        "brute_force_p50_ms": _ms(brute, 50),
    }


def _train(model: Any, items: int) -> None:
    """Steps of the default size: baskets of two items after histories of fifty."""
    import tensorflow as tf

    random = np.random.default_rng(9)
    size = TrainingSettings().retrieval_batch_size
    occasions = size // 2
    step = tf.function(model.train_step, autograph=False)
    for _ in range(STEPS):
        batch = {
            "history_items": random.integers(1, items + 1, (occasions, 50)),
            "history_types": np.ones((occasions, 50)),
            "profile": np.zeros((occasions, 0)),
            "target_items": random.integers(1, items + 1, size),
            "target_occasions": np.repeat(np.arange(occasions), 2),
        }
        numbers = {"history_ages": random.uniform(0, 90, (occasions, 50)), "target_weights": np.ones(size)}
        step(
            {name: tf.constant(array.astype(np.int32)) for name, array in batch.items()}
            | {name: tf.constant(array.astype(np.float32)) for name, array in numbers.items()}
        )


def _columns(items: int, kinds: npt.NDArray[np.int64]) -> Any:
    """Codes that follow from the kind, but for brand, maker and price; eight words of 16,384."""
    from models.two_tower.network.model import ItemColumns

    random = np.random.default_rng(8)
    codes = np.zeros((items + 1, len(CARDINALITIES)), np.int32)
    codes[1:, 0], codes[1:, 1] = kinds // 10 + 1, kinds + 1
    codes[1:, 2] = kinds * 10 + random.integers(0, 10, items) + 1
    for place in (3, 4, 5):
        codes[1:, place] = random.integers(1, CARDINALITIES[place], items)
    words = random.integers(1, 16_384, (items + 1, 8), dtype=np.int32)
    words[0] = 0
    return ItemColumns(codes, CARDINALITIES, words, 16_384)


def _users(embeddings: Floats, kinds: npt.NDArray[np.int64], random: np.random.Generator) -> Floats:
    """Of twenty items of one kind and thirty of any, pooled as the user tower does; 1 meets the popularity."""
    by_kind = np.argsort(kinds, kind="stable")
    first = np.searchsorted(kinds[by_kind], random.integers(0, _KINDS, USERS))
    near = by_kind[np.minimum(first[:, None] + np.arange(20), len(kinds) - 1)]
    history = np.concatenate([near, random.integers(0, len(kinds), (USERS, 30))], axis=1)
    users = np.stack([embeddings[rows].sum(axis=0) for rows in history]) / np.sqrt(history.shape[1])
    users[:, -1] = 1.0
    return users.astype(np.float32)


def _best(embeddings: Floats, user: Floats) -> npt.NDArray[np.int64]:
    scores = embeddings @ user
    best = np.argpartition(-scores, DEPTH)[:DEPTH]
    return best[np.argsort(-scores[best])]


def _timed(run: Any) -> tuple[float, Any]:
    started = time.perf_counter()
    result = run()
    return time.perf_counter() - started, result


def _ms(seconds: list[float], percent: float) -> float:
    return round(1_000 * float(np.percentile(seconds, percent)), 3)


def _line(size: dict[str, Any]) -> str:
    return (
        f"{size['items']:>9,} items: trained with at most {size['peak_mib_trained']:,} MiB; embedded in"
        f" {size['embed_s']:.1f} s, indexed in {size['index_s']:.1f} s, {size['peak_mib_indexed']:,} MiB;"
        f" look-up p50 {size['lookup_p50_ms']:.2f}, p99 {size['lookup_p99_ms']:.2f}"
        f" ms, recall {size['recall']:.3f}; every item {size['brute_force_p50_ms']:.2f} ms"
    )


if __name__ == "__main__":
    main()
