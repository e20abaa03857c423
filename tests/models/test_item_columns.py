from __future__ import annotations

import pyarrow as pa

from headrace.catalogue import CODE_COLUMNS
from headrace.settings_groups import TrainingSettings
from models.two_tower.item_columns import item_columns


def test_an_item_known_by_its_id_alone_has_no_words_categories_or_price():
    nothing = {name: pa.nulls(2, pa.string()) for name in (*CODE_COLUMNS, "text")}
    items = pa.table(
        {"item_id": ["7", "8"], "title": ["7", "Heat"], "price": pa.array([float("nan")] * 2, pa.float32()), **nothing}
    )
    columns = item_columns(items, {name: [] for name in CODE_COLUMNS}, TrainingSettings())
    assert not columns.codes.any()
    assert (columns.words > 0).sum(axis=1).tolist() == [0, 0, 1]
