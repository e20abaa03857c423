"""Content vectors: alike where the words are, the same on every run, made only when the catalogue changed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from headrace.settings.jobs import FeatureSettings
from headrace.tables import GOLD_ITEM_CONTENT, SILVER_ITEMS
from jobs.batch.engine.lake import Lake
from jobs.batch.features.item_content import columns_of, content_axes, item_content, write_item_content
from tests.jobs.batch.worlds import AS_OF, DAY, collected, take_in

ITEMS = [
    {"item_id": "mild", "title": "Ground coffee, mild", "category_1": "drinks"},
    {"item_id": "dark", "title": "Ground COFFEE dark", "category_1": "drinks"},
    {"item_id": "soap", "title": "Hand soap", "category_1": "bath"},
    {"item_id": "brush", "title": "Bath brush", "category_1": "bath"},
]


@pytest.fixture(scope="module")
def shop(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    home = tmp_path_factory.mktemp("content")
    lake = Lake(spark, f"{home}/lake")
    take_in(lake, home, "items", received=AS_OF - timedelta(days=2), items=ITEMS)
    write_item_content(lake, FeatureSettings(content_length=3), DAY)
    return lake


def test_items_with_the_same_words_and_category_have_vectors_that_are_alike(shop: Lake) -> None:
    rows = collected(shop, GOLD_ITEM_CONTENT)
    mild, dark, soap, brush = (
        np.array(next(row["content"] for row in rows if row["item_id"] == item["item_id"])) for item in ITEMS
    )
    assert [len(each) for each in (mild, dark, soap, brush)] == [3] * 4
    assert [float(each @ each) for each in (mild, dark, soap, brush)] == pytest.approx([1] * 4)
    assert mild @ dark > 0.9
    assert soap @ brush > 0.2
    assert abs(mild @ soap) < 0.1


def test_vectors_do_not_depend_on_the_order_or_the_partitions_of_the_items(shop: Lake) -> None:
    items = shop.read(SILVER_ITEMS)
    whole, split = (
        item_content(rows, 3).orderBy("item_id").collect() for rows in (items.coalesce(1), items.repartition(4))
    )
    assert whole == split


def test_vectors_are_recomputed_only_when_the_catalogue_changed(shop: Lake, tmp_path: Path) -> None:
    later = DAY + timedelta(days=1)
    settings = FeatureSettings(content_length=3)
    assert write_item_content(shop, settings, later) == 0
    take_in(shop, tmp_path, "more", items=[{"item_id": "tea", "title": "Green tea", "category_1": "drinks"}])
    assert write_item_content(shop, settings, later) == 5
    assert {row["day"] for row in collected(shop, GOLD_ITEM_CONTENT)} == {DAY, later}


def test_the_axes_are_those_of_the_singular_value_decomposition() -> None:
    presence = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 1], [0, 1, 1, 1]], float)
    axes = content_axes(presence.T @ presence, items=5, length=2)
    weights = np.log(6 / (1 + presence.sum(axis=0))) + 1
    left, values, _ = np.linalg.svd(presence * weights)
    assert np.abs(presence @ axes) == pytest.approx(np.abs(left[:, :2] * values[:2]))


def test_columns_of_an_item_are_its_words_and_its_category_path() -> None:
    nothing = dict.fromkeys(("category_1", "category_2", "category_3", "brand", "maker", "text"))
    assert columns_of({**nothing, "title": None}).tolist() == []
    assert len(columns_of({**nothing, "title": "Tea, green TEA", "category_1": "Green tea"})) == 3
