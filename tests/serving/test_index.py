"""The nearest items of a vector, by indexes that ScaNN draws anew each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headrace.errors import ReleaseError
from models.two_tower.index import BRUTE_FORCE_ITEMS, build_index
from serving.pipeline.index import VectorIndex

ITEMS = BRUTE_FORCE_ITEMS + 5_000
WANTED = 500


def test_a_thorough_search_finds_the_truly_best_however_the_index_was_drawn(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    embeddings = random.normal(size=(ITEMS, 16)).astype(np.float32)
    vectors = random.normal(size=(50, 16)).astype(np.float32)
    best = np.argsort(-(vectors @ embeddings.T), axis=1)[:, :WANTED]
    for name in ("one", "other"):
        assert build_index(embeddings, vectors, tmp_path / name).leaves > 0
        index = VectorIndex(tmp_path / name, thorough=True)
        found = np.stack([index.nearest(vector, WANTED) for vector in vectors])
        missed = [len(np.setdiff1d(truly, mine)) for truly, mine in zip(best, found, strict=True)]
        assert sum(missed) <= 3  # of 25,000; these vectors have no structure, which quantising likes least


@pytest.mark.parametrize("thorough", [False, True])
def test_a_few_items_are_all_scored(tmp_path: Path, thorough: bool) -> None:
    embeddings = np.eye(4, dtype=np.float32)
    build_index(embeddings, embeddings, tmp_path)
    index = VectorIndex(tmp_path, thorough=thorough)
    assert index.nearest(np.array([0, 3, 1, 2], np.float32), 3).tolist() == [1, 3, 2]


def test_an_index_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=f"{tmp_path}/scann: the ScaNN index cannot be opened"):
        VectorIndex(tmp_path / "scann")
