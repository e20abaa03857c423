"""The usual way to serve the same list: FastAPI on uvicorn, Feast's SDK for every feature, a SavedModel for the scores.

    python -m benchmarks.serving.peer FOLDER STORE_ADDRESS PORT

Same release, same store, same ScaNN index, a ranker with the same weights. It leaves out what ours does besides: own,
popular and category candidates, affinity features, reasons, and the live row.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("FEAST_USAGE", "False")

import numpy as np
from fastapi import FastAPI

from benchmarks.serving.data import GROUPS
from headrace.features.ranking import CATEGORICAL, NUMERIC
from headrace.features.rows import ITEM_KEY, ITEM_VIEW, PROJECT, USER_KEY, USER_VIEW, feature_names
from headrace.release.bundle import INDEX, ITEM_EMBEDDINGS, ITEMS, RANKER_SAVED_MODEL
from headrace.tables import GOLD_ITEM_FEATURES

CANDIDATES = 500
ITEM_COLUMNS = feature_names(GOLD_ITEM_FEATURES.schema)


def feature_store(folder: Path, store_address: str) -> Any:
    """Feast over the rows in Valkey: one view per entity."""
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.types import Array, Float32, String

    config = RepoConfig(
        project=PROJECT,
        provider="local",
        registry=str(folder / "registry.db"),
        online_store={"type": "redis", "connection_string": store_address},
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    user = Entity(name="user", join_keys=[USER_KEY], value_type=ValueType.STRING)
    item = Entity(name="item", join_keys=[ITEM_KEY], value_type=ValueType.STRING)
    unused = FileSource(path=str(folder / "offline.parquet"), timestamp_field="event_timestamp")
    users = FeatureView(
        name=USER_VIEW,
        entities=[user],
        ttl=timedelta(0),
        schema=[Field(name=USER_KEY, dtype=String), Field(name="history_items", dtype=Array(String))],
        source=unused,
    )
    items = FeatureView(
        name=ITEM_VIEW,
        entities=[item],
        ttl=timedelta(0),
        schema=[Field(name=ITEM_KEY, dtype=String), *(Field(name=name, dtype=Float32) for name in ITEM_COLUMNS)],
        source=unused,
    )
    store.apply([user, item, users, items])
    return store


def create_app(folder: Path, store_address: str) -> FastAPI:
    """The peer's service over the release in `folder`."""
    import pyarrow as pa
    import scann
    import tensorflow as tf

    store = feature_store(folder.parent, store_address)
    index = scann.scann_ops_pybind.load_searcher(str((folder / INDEX).resolve()))
    embeddings = np.load(folder / ITEM_EMBEDDINGS)
    with pa.memory_map(str(folder / ITEMS)) as source:
        table = pa.ipc.open_file(source).read_all()
    item_ids = table.column("item_id").to_pylist()
    codes = np.stack([_codes(table, name) for name in CATEGORICAL], axis=1)
    row_of = {item: row for row, item in enumerate(item_ids)}
    saved = tf.saved_model.load(str(folder / RANKER_SAVED_MODEL))
    ranker = saved.signatures["serving_default"]
    places = [NUMERIC.index(name) for name in ITEM_COLUMNS if name in NUMERIC]
    columns = [name for name in ITEM_COLUMNS if name in NUMERIC]
    user_features = [f"{USER_VIEW}:history_items"]
    item_features = [f"{ITEM_VIEW}:{name}" for name in columns]
    app = FastAPI()

    @app.get("/recommendations")
    def recommendations(user_id: str, context: str = "homepage", limit: int = 20) -> dict[str, Any]:
        user = store.get_online_features(features=user_features, entity_rows=[{USER_KEY: user_id}]).to_dict()
        history = [row_of[item] for item in user["history_items"][0]]
        vector = embeddings[history].mean(axis=0)
        vector[-1] = 1.0
        rows, _ = index.search(vector, final_num_neighbors=CANDIDATES, pre_reorder_num_neighbors=2 * CANDIDATES)
        entities = [{ITEM_KEY: item_ids[row]} for row in rows]
        values = store.get_online_features(features=item_features, entity_rows=entities).to_dict()
        numeric = np.zeros((len(rows), len(NUMERIC)), np.float32)
        numeric[:, places] = np.log1p(np.array([values[name] for name in columns], np.float32)).T
        scores = ranker(numeric=tf.constant(numeric), categorical=tf.constant(codes[rows]))["score"].numpy()
        best = np.argsort(-scores)[:limit]
        return {
            "user_id": user_id,
            "context": context,
            "recommendations": [{"item_id": item_ids[rows[k]], "score": float(scores[k])} for k in best],
            "candidates_generated": len(rows),
        }

    return app


def _codes(table: Any, name: str) -> np.ndarray[Any, np.dtype[np.int32]]:
    code_of = {f"{name} {code}": code + 1 for code in range(GROUPS[name])}
    return np.array([code_of[value] for value in table.column(name).to_pylist()], np.int32)


def main() -> None:
    """Serve until stopped."""
    import uvicorn

    folder, store_address, port = sys.argv[1:]
    app = create_app(Path(folder), store_address)
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
