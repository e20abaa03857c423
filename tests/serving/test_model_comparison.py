from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.settings import Settings
from serving.offline import model_comparison
from serving.pipeline.recommender import Recommender
from tests.serving.conftest import DAY, LAKE_USERS


def test_each_release_ranks_for_the_same_users_as_at_a_request_and_is_timed(
    lake_settings: Settings,
    release_folder: Path,
    recommender: Recommender,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pq.write_table(pa.table({"user_id": ["anna", "nobody", "stranger"]}), tmp_path / "users.parquet")
    monkeypatch.setattr(model_comparison, "load_settings", lambda: lake_settings)
    twice = ["--release", str(release_folder), "--release", str(release_folder), "--k", "30"]
    where = ["--users-from", str(tmp_path / "users.parquet"), "--output", str(tmp_path)]
    assert model_comparison.main([*twice, "--day", str(DAY), *where]) == 0
    anna = LAKE_USERS[0]
    expected, _ = recommender.for_user(anna, recommender.tower.vector(anna), 30)
    for place in (0, 1):
        lists = {task: _items(tmp_path / f"{place}_{task}.parquet") for task in ("all", "new")}
        assert lists["all"]["anna"] == [recommender.catalogue.item_ids[row] for row in expected.rows]
        assert not {"item-7", "item-50", "item-0"} & set(lists["new"]["anna"])  # item-0 is in the lake only
        assert sorted(lists["all"]) == ["anna", "nobody"]  # the stranger did nothing in the holdout
    times = json.loads((tmp_path / "latency.json").read_text())
    assert [len(of_release["ranking"]) for of_release in times] == [1, 1]  # nobody is not ranked: popular items
    assert all(of_release["ranking"][0] > 0 for of_release in times)


def _items(file: Path) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    for row in pq.read_table(file).sort_by([("user_id", "ascending"), ("rank", "ascending")]).to_pylist():
        lists.setdefault(row["user_id"], []).append(row["item_id"])
    return lists
