"""What a user's own items say of others, with numbers that can be checked by eye."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from headrace.release import neighbours
from headrace.release.neighbours import Neighbours, neighbours_of, no_neighbours

BREAD, BUTTER, JAM, SOAP = range(4)


@pytest.fixture
def shop() -> Neighbours:
    """Bread goes with butter and jam, jam with butter; soap goes with nothing and not at all with jam."""
    pairs = [(BREAD, BUTTER, 0.5), (BREAD, JAM, 0.25), (JAM, BUTTER, 1.0), (SOAP, JAM, -0.125)]
    names = ("item_row", "neighbour_row", "weight")
    return neighbours_of(pa.table(dict(zip(names, map(list, zip(*pairs, strict=True)), strict=True))), 4)


def rows(*items: int) -> np.ndarray:
    return np.array(items, np.int32)


@pytest.mark.parametrize("dense_items", [0, 10])
def test_weights_of_own_items_add_up(shop, monkeypatch, dense_items):
    monkeypatch.setattr(neighbours, "_DENSE_ITEMS", dense_items)
    said = shop.scores(rows(BREAD, JAM, SOAP), np.array([2, 1, 8], np.float32))
    assert said.rows.tolist() == [BUTTER, JAM]
    assert said.values.tolist() == [2.0, -0.5]
    assert said.of(rows(SOAP, JAM, BREAD, BUTTER)).tolist() == [0, -0.5, 0, 2.0]


def test_the_strongest_own_item_is_the_cause(shop):
    own, weights = rows(BREAD, JAM), np.array([3, 1], np.float32)
    assert shop.strongest(own, weights, rows(BUTTER, JAM, SOAP)).tolist() == [BREAD, BREAD, -1]
    assert shop.strongest(own, np.array([1, 1], np.float32), rows(BUTTER)).tolist() == [JAM]
    assert shop.strongest(rows(SOAP), np.ones(1, np.float32), rows(JAM)).tolist() == [-1]  # what speaks against it


def test_only_the_heaviest_own_items_are_asked(shop, monkeypatch):
    monkeypatch.setattr(neighbours, "MOST_OWN_ITEMS", 1)
    said = shop.scores(rows(BREAD, JAM), np.array([1, 2], np.float32))
    assert dict(zip(said.rows.tolist(), said.values.tolist(), strict=True)) == {BUTTER: 2.0}


def test_without_own_items_or_without_neighbours_nothing_is_said(shop):
    for nothing in (shop.scores(rows(), np.zeros(0, np.float32)), no_neighbours().scores(rows(1), np.ones(1))):
        assert nothing.of(rows(BREAD, BUTTER)).tolist() == [0, 0]
    assert no_neighbours().strongest(rows(1), np.ones(1, np.float32), rows(2)).tolist() == [-1]
