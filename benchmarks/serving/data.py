"""A release of any size with generated items, and users who bought some of them: what `benchmarks.serving` serves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.features.ranking import CATEGORICAL, NUMERIC
from headrace.release.bundle import (
    EVALUATION,
    INDEX,
    ITEM_EMBEDDINGS,
    ITEMS,
    POPULAR,
    RANKER,
    RANKER_SAVED_MODEL,
    RANKER_SCHEMA,
    USER_TOWER,
    VOCABULARIES,
    Release,
    seal_release,
)
from headrace.settings import Settings
from headrace.settings.jobs import TrainingSettings
from headrace.tables import GOLD_ITEM_FEATURES, GOLD_USER_FEATURES

AS_OF = datetime(2026, 11, 23, tzinfo=UTC)
DIMENSIONS = 64
GROUPS = {"category_1": 30, "category_2": 300, "category_3": 2000, "brand": 500, "maker": 800}
HISTORY = 50


def item_ids(count: int) -> list[str]:
    """`i0`, `i1`, …: the most popular first."""
    return [f"i{number}" for number in range(count)]


def make_release(folder: Path, items: int, seed: int = 7) -> Release:
    """A sealed full release: vectors around random centres, an AH index, the product's ranker, untrained."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    embeddings = _embeddings(random, items)
    np.save(folder / ITEM_EMBEDDINGS, embeddings)
    table = item_table(random, items)
    _write_arrow(folder / ITEMS, table)
    names = {name: [f"{name} {code}" for code in range(size)] for name, size in GROUPS.items()}
    vocabularies = {"event_types": ["purchase"], **names, "profile.age": ["25-34", "35-44"]}
    (folder / VOCABULARIES).write_text(json.dumps(vocabularies), encoding="utf-8")
    _write_arrow(folder / POPULAR, _popular(table.column("category_1").to_pylist()))
    _write_index(folder / INDEX, embeddings)
    _write_tower(folder / USER_TOWER, embeddings)
    _write_ranker(folder, seed)
    schema = {"numeric": NUMERIC, "categorical": CATEGORICAL}
    (folder / RANKER_SCHEMA).write_text(json.dumps(schema), encoding="utf-8")
    (folder / EVALUATION).write_text("{}", encoding="utf-8")
    return seal_release(
        folder,
        stage="full",
        as_of=AS_OF,
        code_version="benchmark",
        seed=seed,
        tables={},
        settings={"features": Settings().features.model_dump()},
    )


def item_table(random: np.random.Generator, items: int) -> pa.Table:
    """Items in the release's columns; popularity falls with the row number."""
    popularity = (items / (1 + np.arange(items))).astype(np.float32)
    groups = {name: [f"{name} {code}" for code in random.integers(0, size, items)] for name, size in GROUPS.items()}
    return pa.table(
        {
            "item_id": item_ids(items),
            "title": [f"Product {number}" for number in range(items)],
            **groups,
            "popularity": popularity,
            "trend_popularity": 2 * popularity,
            "purchases": 3 * popularity,
            "users_total": 9 * popularity,
            "repeat_rate": random.random(items).astype(np.float32),
            "price": random.gamma(2, 3, items).astype(np.float32),
            "age_days": random.integers(1, 400, items).astype(np.float32),
            "available": np.ones(items, bool),
            "blocked": np.zeros(items, bool),
        }
    )


def item_rows(release: Release) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each item's id and its values of `gold.item_features`, for the feature store."""
    with pa.memory_map(str(release.path(ITEMS))) as source:
        table = pa.ipc.open_file(source).read_all()
    names = [name for name in table.schema.names if name in GOLD_ITEM_FEATURES.schema.names]
    for values in table.select(names).to_pylist():
        yield values.pop("item_id"), values


def user_rows(random: np.random.Generator, users: int, items: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each user's id and values of `gold.user_features`: 50 events of history, about 150 own items."""
    now = int(AS_OF.timestamp() * 1e6)
    for user in range(users):
        own = np.unique((items * random.random(180) ** 3).astype(int))
        random.shuffle(own)
        counts = random.integers(1, 9, len(own)).astype(np.float32)
        times = now - random.integers(1, 300, len(own)) * int(timedelta(days=1).total_seconds() * 1e6)
        order = np.argsort(-counts)
        bought = random.choice(own, HISTORY)
        yield (
            f"u{user}",
            {
                "history_event_ids": [f"u{user}-{place}" for place in range(HISTORY)],
                "history_items": [f"i{row}" for row in bought],
                "history_types": ["purchase"] * HISTORY,
                "history_timestamps": [now - (HISTORY - place) * 3_600_000_000 for place in range(HISTORY)],
                "own_items": [f"i{row}" for row in own[order]],
                "own_counts": counts[order].tolist(),
                "own_decayed_counts": (counts[order] * 0.7).tolist(),
                "own_first_timestamps": (times[order] - 9_000_000_000_000).tolist(),
                "own_last_timestamps": times[order].tolist(),
                "events_total": int(counts.sum()),
                "baskets_total": 40,
                "profile_keys": ["age"],
                "profile_values": ["25-34"],
            },
        )


USER_SCHEMA, ITEM_SCHEMA = GOLD_USER_FEATURES.schema, GOLD_ITEM_FEATURES.schema


def _embeddings(random: np.random.Generator, items: int) -> npt.NDArray[np.float32]:
    centres = random.normal(size=(200, DIMENSIONS))
    vectors = centres[random.integers(0, len(centres), items)] + random.normal(scale=0.7, size=(items, DIMENSIONS))
    vectors[:, -1] = np.log1p(items / (1 + np.arange(items)))
    return vectors.astype(np.float32)


def _popular(categories: Sequence[str], length: int = 1000) -> pa.Table:
    lists: dict[str, list[int]] = {"": list(range(min(length, len(categories))))}
    for row, category in enumerate(categories):
        members = lists.setdefault(category, [])
        if len(members) < length:
            members.append(row)
    return pa.table(
        {
            "list": [name for name, rows in lists.items() for _ in rows],
            "rank": pa.array([rank for rows in lists.values() for rank in range(1, len(rows) + 1)], pa.int32()),
            "item_row": pa.array([row for rows in lists.values() for row in rows], pa.int32()),
        }
    )


def _write_index(folder: Path, embeddings: npt.NDArray[np.float32]) -> None:
    import scann

    folder.mkdir()
    leaves = max(int(np.sqrt(len(embeddings))), 1)
    builder = scann.scann_ops_pybind.builder(embeddings, 500, "dot_product")
    partitioned = builder.tree(leaves, max(leaves // 8, 1), training_sample_size=min(len(embeddings), 100_000))
    partitioned.score_ah(2, anisotropic_quantization_threshold=0.2).reorder(1000).build().serialize(str(folder), True)


def _write_tower(file: Path, embeddings: npt.NDArray[np.float32]) -> None:
    """A user tower: the mean vector of the known items of the history, 1 for the popularity prior."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    table = np.vstack([np.zeros((1, DIMENSIONS), np.float32), embeddings])
    table[:, -1] = 0
    constants = {
        "table": table,
        "axis": np.array([1], np.int64),
        "length": np.full((), HISTORY, np.float32),
        "prior": np.eye(DIMENSIONS, dtype=np.float32)[-1],
    }
    nodes = [
        helper.make_node("Gather", ["table", "history_items"], ["vectors"]),
        helper.make_node("ReduceSum", ["vectors", "axis"], ["total"], keepdims=0),
        helper.make_node("Div", ["total", "length"], ["mean"]),
        helper.make_node("Add", ["mean", "prior"], ["user_vector"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tower",
        [helper.make_tensor_value_info("history_items", TensorProto.INT32, ["users", HISTORY])],
        [helper.make_tensor_value_info("user_vector", TensorProto.FLOAT, ["users", DIMENSIONS])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(file))


def _write_ranker(folder: Path, seed: int) -> None:
    """The product's ranker as it starts, as ONNX for us and as a SavedModel for the peer: the same weights."""
    from models.ranker.committee import Committee
    from models.ranker.export import export_ranker
    from models.ranker.networks.losses import RankingLoss
    from models.ranker.networks.model import RankerInputs
    from models.ranker.networks.scaling import Scaling

    training = Settings().training
    numbers = np.random.default_rng(seed).gamma(1, 1, (10_000, len(NUMERIC))).astype(np.float32)
    scaling = Scaling.of(numbers[None], np.ones((1, len(numbers)), np.bool_), 0.01)
    inputs = RankerInputs(scaling, tuple(GROUPS[name] + 1 for name in CATEGORICAL))
    loss = RankingLoss(training.ranker_loss, training.ranker_new_weight)
    model = Committee(training.ranker_model, training.ranker_members, inputs, loss, seed)
    model.join(_trees(numbers, training, seed), training.ranker_trees_share)
    export_ranker(model, folder / RANKER_SAVED_MODEL, folder / RANKER)


def _trees(numbers: npt.NDArray[np.float32], training: TrainingSettings, seed: int) -> Any:
    """As many as the product's, learned from lists in which what is taken depends on many numbers at once."""
    from rich.progress import Progress

    from models.ranker.examples.examples import RankingExamples, nothing_happened
    from models.ranker.trees.boosting import fit_trees

    shape = (20, len(numbers) // 20)
    random = np.random.default_rng(seed)
    liking = np.tanh(numbers - 1) @ random.normal(0, 1, len(NUMERIC)) + random.normal(0, 1, len(numbers))
    examples = RankingExamples(
        [str(user) for user in range(shape[0])],
        numbers.reshape(*shape, -1),
        np.zeros((*shape, len(CATEGORICAL)), np.int32),
        (liking > np.quantile(liking, 0.8)).astype(np.float32).reshape(shape),
        np.ones(shape, bool),
        **nothing_happened(np.ones(shape, bool)),
    )
    return fit_trees(examples, training, Progress(disable=True))


def _write_arrow(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
