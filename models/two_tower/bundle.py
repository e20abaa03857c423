"""The files of a retrieval bundle: items, vocabularies, embeddings, index, user tower, popular lists."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.features.user_tower import TowerInputs
from headrace.release import bundle as release
from models.export.onnx_export import export_function
from models.training.command import native_messages_hidden
from models.two_tower.examples.item_table import popular_table, write_arrow
from models.two_tower.index import IndexReport, build_index
from models.two_tower.vectors import UserFunction, item_embeddings, log_popularity


@dataclass(frozen=True)
class RetrievalParts:
    """What a trained retrieval consists of."""

    items: pa.Table
    neighbours: pa.Table
    """Which items go with which (`models.neighbours.table`)."""
    vocabularies: Mapping[str, list[str]]
    vectors: npt.NDArray[np.float32]
    """[items + 1, embedding_size - 1], row 0 = unknown."""
    prior_weight: float
    tower: UserFunction
    sample: TowerInputs
    """Users that the index is checked with."""


def write_retrieval_files(parts: RetrievalParts, folder: Path, *, served: bool) -> IndexReport:
    """Write all files but the manifest; returns how good the index is. What is not to be served has no SavedModel."""
    write_arrow(parts.items, folder / release.ITEMS)
    write_arrow(popular_table(parts.items), folder / release.POPULAR)
    write_arrow(parts.neighbours, folder / release.NEIGHBOURS)
    vocabularies = json.dumps(parts.vocabularies, ensure_ascii=False, separators=(",", ":"))
    (folder / release.VOCABULARIES).write_text(vocabularies, encoding="utf-8")
    embeddings = item_embeddings(parts.vectors, np.float32(parts.prior_weight) * log_popularity(parts.items))
    np.save(folder / release.ITEM_EMBEDDINGS, embeddings, allow_pickle=False)
    saved_model = folder / release.USER_TOWER_SAVED_MODEL if served else None
    export_function(parts.tower.exported, saved_model, folder / release.USER_TOWER)
    users = parts.tower.vectors(parts.sample)
    with native_messages_hidden():
        return build_index(embeddings, users, folder / release.INDEX)
