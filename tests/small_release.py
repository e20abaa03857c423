"""A release small enough to be made in a test: real files and a real exported tower, its vectors easy to check."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pyarrow as pa
from onnx import TensorProto, helper, numpy_helper

from headrace.features.ranking import CATEGORICAL, NUMERIC
from headrace.release.bundle import (
    EVALUATION,
    INDEX,
    ITEM_EMBEDDINGS,
    ITEMS,
    NEIGHBOURS,
    POPULAR,
    RANKER,
    RANKER_SCHEMA,
    USER_TOWER,
    VOCABULARIES,
    Release,
    seal_release,
)
from headrace.settings import Settings

HISTORY_LENGTH = 50
EMBEDDING_SIZE = 8
EVENT_TYPES = ("purchase", "view", "click", "add_to_cart", "rating", "like")
CATEGORIES = ("GROCERY", "DRUG GM", "MEAT")
RANKER_WEIGHTS = {"own_decayed_count": 1.0, "tower_score": 0.5, "popularity": 0.1}
AS_OF = datetime(2026, 11, 23, tzinfo=UTC)


def item_names(count: int) -> list[str]:
    """`item-0`, `item-1`, …"""
    return [f"item-{number}" for number in range(count)]


def tiny_retrieval_bundle(folder: Path, *, items: Sequence[str], seed: int = 7) -> Release:
    """A sealed bundle of stage `retrieval` in `folder`: the files that the towers need, none trained."""
    write_tiny_retrieval(folder, items, seed)
    return seal_release(
        folder,
        stage="retrieval",
        as_of=AS_OF,
        code_version="test",
        seed=seed,
        tables={},
        settings={"features": {"history_length": HISTORY_LENGTH}},
    )


def tiny_full_release(folder: Path, *, items: Sequence[str], seed: int = 7) -> Release:
    """A sealed bundle of stage `full`: the tiny retrieval with an exact index and a ranker that is a weighted sum."""
    write_tiny_retrieval(folder, items, seed)
    write_exact_index(folder / INDEX, np.load(folder / ITEM_EMBEDDINGS))
    onnx.save_model(linear_ranker(RANKER_WEIGHTS), str(folder / RANKER))
    schema = {"numeric": NUMERIC, "categorical": CATEGORICAL}
    (folder / RANKER_SCHEMA).write_text(json.dumps(schema), encoding="utf-8")
    (folder / EVALUATION).write_text("{}", encoding="utf-8")
    return seal_release(
        folder,
        stage="full",
        as_of=AS_OF,
        code_version="test",
        seed=seed,
        tables={},
        settings={"features": Settings().features.model_dump()},
    )


def write_exact_index(folder: Path, embeddings: npt.NDArray[np.float32]) -> None:
    """A ScaNN searcher that compares every item, so that its answers can be checked."""
    from serving.pipeline.index import native_scann

    config = """
        num_neighbors: 10
        distance_measure { distance_measure: "DotProductDistance" }
        brute_force { fixed_point { enabled: false } }
    """
    folder.mkdir()
    native_scann().ScannNumpy(embeddings, config, 1).serialize(str(folder), True)


def linear_ranker(weights: Mapping[str, float]) -> onnx.ModelProto:
    """A ranker whose score is the weighted sum of the named numeric features."""
    column = np.array([[weights.get(name, 0.0)] for name in NUMERIC], np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["numeric", "weights"], ["scores"])],
        "linear_ranker",
        [
            helper.make_tensor_value_info("numeric", TensorProto.FLOAT, ["candidates", len(NUMERIC)]),
            helper.make_tensor_value_info("categorical", TensorProto.INT32, ["candidates", len(CATEGORICAL)]),
        ],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["candidates", 1])],
        [numpy_helper.from_array(column, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def write_tiny_retrieval(folder: Path, items: Sequence[str], seed: int) -> None:
    """The files of stage `retrieval`, not sealed, so that a ranker can be put beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    embeddings = generator.normal(size=(len(items), EMBEDDING_SIZE)).astype(np.float32)
    embeddings[:, -1] = np.linspace(1, 0, len(items))  # the popularity prior: item 0 is the most popular
    np.save(folder / ITEM_EMBEDDINGS, embeddings)
    _write_arrow(folder / ITEMS, _item_table(items))
    (folder / VOCABULARIES).write_text(json.dumps(_vocabularies()), encoding="utf-8")
    _write_arrow(folder / POPULAR, _popular_table(len(items)))
    pair = pa.table({"item_row": [7], "neighbour_row": [len(items) // 2], "weight": [0.5]})
    _write_arrow(folder / NEIGHBOURS, pair.slice(0, len(items) > 7))  # who takes item 7 takes the middle one
    onnx.save_model(mean_tower(embeddings), str(folder / USER_TOWER))


def mean_tower(embeddings: npt.NDArray[np.float32]) -> onnx.ModelProto:
    """A user tower: the mean embedding of the known items of the history, and 1 for the popularity prior."""
    size = embeddings.shape[1]
    table = np.vstack([np.zeros((1, size), np.float32), embeddings])
    table[:, -1] = 0
    constants = {
        "table": table,
        "zero": np.zeros((), np.int32),
        "one": np.ones((), np.float32),
        "axis": np.array([1], np.int64),
        "prior": np.eye(size, dtype=np.float32)[-1],
    }
    nodes = [
        helper.make_node("Gather", ["table", "history_items"], ["embedded"], axis=0),
        helper.make_node("ReduceSum", ["embedded", "axis"], ["total"], keepdims=0),
        helper.make_node("Greater", ["history_items", "zero"], ["known"]),
        helper.make_node("Cast", ["known"], ["known_number"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["known_number", "axis"], ["count"], keepdims=1),
        helper.make_node("Max", ["count", "one"], ["divisor"]),
        helper.make_node("Div", ["total", "divisor"], ["mean"]),
        helper.make_node("Add", ["mean", "prior"], ["user_vector"]),
    ]
    graph = helper.make_graph(
        nodes,
        "mean_tower",
        [helper.make_tensor_value_info("history_items", TensorProto.INT32, ["users", HISTORY_LENGTH])],
        [helper.make_tensor_value_info("user_vector", TensorProto.FLOAT, ["users", size])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def _item_table(items: Sequence[str]) -> pa.Table:
    count = len(items)
    numbers = np.arange(count)
    return pa.table(
        {
            "item_id": list(items),
            "title": [f"Title of {item}" for item in items],
            "category_1": [CATEGORIES[number % len(CATEGORIES)] for number in numbers],
            "category_2": [f"aisle {number % 5}" for number in numbers],
            "category_3": [f"shelf {number % 11}" for number in numbers],
            "brand": ["National" if number % 2 else "Private" for number in numbers],
            "maker": [f"maker {number % 7}" for number in numbers],
            "popularity": pa.array(count - numbers, pa.float32()),
            "trend_popularity": pa.array(count - numbers, pa.float32()),
            "purchases": pa.array(2 * (count - numbers), pa.float32()),
            "users_total": pa.array(count - numbers, pa.float32()),
            "repeat_rate": pa.array((numbers % 10) / 10, pa.float32()),
            "price": pa.array(1 + numbers % 9, pa.float32()),
            "age_days": pa.array(numbers % 300, pa.float32()),
            "available": pa.array([True] * count),
            "blocked": pa.array([False] * count),
            "promotion": pa.array([None] * count, pa.string()),
        }
    )


def _vocabularies() -> dict[str, list[str]]:
    return {
        "event_types": list(EVENT_TYPES),
        "category_1": list(CATEGORIES),
        "category_2": [f"aisle {number}" for number in range(5)],
        "category_3": [f"shelf {number}" for number in range(11)],
        "brand": ["Private", "National"],
        "maker": [f"maker {number}" for number in range(7)],
        "profile.age": ["25-34", "35-44"],
        "profile.income": ["50-74K", "35-49K"],
    }


def _popular_table(count: int) -> pa.Table:
    rows = [("", rank, rank - 1) for rank in range(1, count + 1)]
    for place, category in enumerate(CATEGORIES):
        members = range(place, count, len(CATEGORIES))
        rows += [(category, rank, row) for rank, row in enumerate(members, start=1)]
    names, ranks, item_rows = zip(*rows, strict=True)
    return pa.table(
        {"list": list(names), "rank": pa.array(ranks, pa.int32()), "item_row": pa.array(item_rows, pa.int32())}
    )


def _write_arrow(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
