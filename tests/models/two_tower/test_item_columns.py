from __future__ import annotations

import numpy as np
import pyarrow as pa
import tensorflow as tf

from headrace.release.catalogue import CODE_COLUMNS
from headrace.settings.jobs import TrainingSettings
from models.two_tower.network.item_columns import item_columns
from models.two_tower.network.model import ItemColumns, ItemTower


def test_an_item_known_by_its_id_alone_has_no_words_categories_or_price():
    nothing = {name: pa.nulls(2, pa.string()) for name in (*CODE_COLUMNS, "text")}
    items = pa.table(
        {"item_id": ["7", "8"], "title": ["7", "Heat"], "price": pa.array([float("nan")] * 2, pa.float32()), **nothing}
    )
    columns = item_columns(items, {name: [] for name in CODE_COLUMNS}, TrainingSettings())
    assert not columns.codes.any()
    assert (columns.words > 0).sum(axis=1).tolist() == [0, 0, 1]


def test_how_fresh_an_item_is_is_a_class_of_its_days_where_it_is_read():
    nothing = {name: pa.nulls(5, pa.string()) for name in (*CODE_COLUMNS, "title", "text")}
    ages, price = pa.array([0, 7, 8, 400, float("nan")], pa.float32()), pa.array([1.0] * 5, pa.float32())
    items = pa.table({"item_id": list("abcde"), "age_days": ages, "price": price, **nothing})
    without, fresh = (
        item_columns(items, {name: [] for name in CODE_COLUMNS}, TrainingSettings(item_freshness=each))
        for each in (False, True)
    )
    assert fresh.codes[1:, -1].tolist() == [1, 1, 2, 6, 0]
    assert fresh.cardinalities == (*without.cardinalities, 7)
    np.testing.assert_array_equal(fresh.codes[:, :-1], without.codes)


def test_an_item_is_the_sum_of_its_id_its_known_codes_and_its_words_over_the_root_of_their_number():
    codes = np.array([[0, 0], [1, 2], [2, 0]], np.int32)
    words = np.array([[0, 0], [5, 3], [0, 0]], np.int32)
    tower = ItemTower(ItemColumns(codes, (3, 3), words, 8), 4, id_dropout=0.0, seed=7)
    vectors = tower(tf.constant([2, 0, 1, 1])).numpy()
    ids, known, described = (table.numpy() for table in (tower.ids, tower.codes, tower.words))
    both = ids[1] + known[1] + known[4] + (described[5] + described[3]) / np.sqrt(2)  # 1, 2: first column; 3, 4: second
    np.testing.assert_allclose(vectors, [ids[2] + known[2], np.zeros(4), both, both], atol=1e-7)
    assert len(known) == 5
