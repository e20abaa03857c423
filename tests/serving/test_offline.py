from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.errors import BadInputError
from headrace.features.own_items import own_item_features
from headrace.features.ranking import CATEGORICAL, NUMERIC
from headrace.outcomes import OUTCOMES
from headrace.settings import Settings
from headrace.user_sample import sample_of
from serving.offline import command as offline
from serving.offline.list_files import read_user_ids
from serving.pipeline.recommender import Recommender
from tests.serving.conftest import DAY, LAKE_USERS


def test_candidates_carry_the_features_of_a_request_and_the_labels_of_the_holdout(
    lake_settings: Settings, release_folder: Path, recommender: Recommender, tmp_path: Path
) -> None:
    offline.write_candidates(lake_settings, release_folder, DAY, tmp_path / "candidates.parquet")
    rows = {row["user_id"]: row for row in pq.read_table(tmp_path / "candidates.parquet").to_pylist()}
    assert sorted(rows) == ["anna", "ben"]  # nobody has no history: nothing to learn from
    anna = rows["anna"]
    assert len(anna["item_rows"]) == len(set(anna["item_rows"])) == 500
    labels = dict(zip(anna["item_rows"], anna["labels"], strict=True))
    assert labels[50] == 2.0
    assert sum(anna["labels"]) == 2.0 + (1.0 if 899 in labels else 0.0)
    user = LAKE_USERS[0]
    vector = recommender.tower.vector(user)
    candidates, features = recommender.candidates_of(user, own_item_features(user, recommender.catalogue), vector, 500)
    np.testing.assert_array_equal(anna["item_rows"], candidates.rows)
    np.testing.assert_allclose(np.reshape(anna["numeric"], (500, len(NUMERIC))), features.numeric, rtol=1e-5)
    np.testing.assert_array_equal(np.reshape(anna["categorical"], (500, len(CATEGORICAL))), features.categorical)


def test_of_too_many_users_candidates_are_made_for_a_sample_only(
    lake_settings: Settings, release_folder: Path, tmp_path: Path
) -> None:
    training = lake_settings.training.model_copy(update={"ranker_users": 1})
    settings = lake_settings.model_copy(update={"training": training})
    assert offline.write_candidates(settings, release_folder, DAY, tmp_path / "candidates.parquet") == 1
    written = pq.read_table(tmp_path / "candidates.parquet").column("user_id").to_pylist()
    assert written == sample_of(["anna", "ben"], 1)


def test_candidates_carry_what_else_happened_to_them_and_where_they_were_shown(
    lake_settings: Settings, release_folder: Path, tmp_path: Path
) -> None:
    offline.write_candidates(lake_settings, release_folder, DAY, tmp_path / "candidates.parquet")
    anna, ben = pq.read_table(tmp_path / "candidates.parquet").to_pylist()
    place = {item: number for number, item in enumerate(ben["item_rows"])}
    outcomes = np.reshape(ben["outcomes"], (500, len(OUTCOMES)))
    assert outcomes[place[300]].tolist() == [2.0, 1.0, 0.0, 7.5]
    assert outcomes.sum() == 10.5
    assert [ben["positions"][place[item]] for item in (300, 301)] == [5, 1]
    assert [ben["propensities"][place[item]] for item in (300, 301)] == [0.5, 0.25]
    assert sum(ben["positions"]) == 6
    assert (sum(anna["outcomes"]), sum(anna["positions"]), set(anna["propensities"])) == (0, 0, {1.0})


def test_lists_are_what_a_request_of_each_user_would_get(
    lake_settings: Settings, release_folder: Path, recommender: Recommender, tmp_path: Path
) -> None:
    offline.write_lists(lake_settings, release_folder, DAY, tmp_path / "lists.parquet", k=500)
    lists = _lists(tmp_path / "lists.parquet")
    anna = LAKE_USERS[0]
    ranked, _ = recommender.for_user(anna, recommender.tower.vector(anna), 500)
    assert lists["anna"] == [recommender.catalogue.item_ids[row] for row in ranked.rows]
    assert lists["anna"][0] == "item-7"
    assert lists["nobody"] == [f"item-{number}" for number in range(500)]


def test_everything_a_user_ever_took_is_left_out_of_the_lists_of_new_items(
    lake_settings: Settings, release_folder: Path, tmp_path: Path
) -> None:
    offline.write_lists(lake_settings, release_folder, DAY, tmp_path / "lists.parquet", exclude_own=True)
    lists = _lists(tmp_path / "lists.parquet")
    assert not {"item-7", "item-50", "item-0"} & set(lists["anna"])  # item-0 is in the lake, not in the row
    assert {user: len(set(items)) for user, items in lists.items()} == {"anna": 500, "ben": 500, "nobody": 500}


def test_named_users_get_lists_whether_they_are_known_or_not(
    lake_settings: Settings, release_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(pa.table({"user_id": ["stranger", "anna"]}), tmp_path / "users.parquet")
    monkeypatch.setattr(offline, "load_settings", lambda: lake_settings)
    output = tmp_path / "lists.parquet"
    named = ["--users-from", str(tmp_path / "users.parquet")]
    code = offline.main(
        ["lists", "--release", str(release_folder), "--day", str(DAY), "--output", str(output), "--k", "30", *named]
    )
    assert code == 0
    lists = _lists(output)
    assert sorted(lists) == ["anna", "stranger"]
    assert lists["stranger"] == [f"item-{number}" for number in range(30)]


def test_the_named_users_are_their_ids_as_texts_whatever_type_the_file_has(tmp_path: Path) -> None:
    def named(column: pa.Array) -> list[str]:
        pq.write_table(pa.table({"user_id": column}), tmp_path / "users.parquet")
        return read_user_ids(tmp_path / "users.parquet")

    assert named(pa.array(["007", "7", "NA", None])) == ["007", "7", "NA"]
    assert named(pa.array([7.0, None, 8.0])) == ["7", "8"]
    with pytest.raises(BadInputError, match=r"row 1: 'user_id' is the number 7\.5, which is not an exact id"):
        named(pa.array([7.5]))


def test_of_earlier_holdouts_only_what_lacks_and_can_be_made_is_written(
    lake_settings: Settings, release_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = lake_settings.training.model_copy(update={"holdout_days": 1, "ranker_earlier_holdouts": 3})
    settings = lake_settings.model_copy(update={"training": training})
    last = DAY + timedelta(days=2)
    yesterday, before, none = training.earlier_days(last)
    assert before == DAY
    for day in (last, yesterday, before):
        (tmp_path / str(day)).mkdir()
        (tmp_path / str(day) / "release").symlink_to(release_folder)
    (tmp_path / str(yesterday) / "candidates").write_text("of its own day's run")
    monkeypatch.setattr(offline, "load_settings", lambda: settings)
    paths = ["--release", f"{tmp_path}/{{day}}/release", "--output", f"{tmp_path}/{{day}}/candidates"]
    assert offline.main(["candidates", "--day", str(last), "--earlier", *paths]) == 1  # `last` is not in the lake
    assert pq.read_metadata(tmp_path / str(before) / "candidates").num_rows == 2
    assert (tmp_path / str(yesterday) / "candidates").read_text() == "of its own day's run"
    assert not (tmp_path / str(none)).exists()


def test_a_day_without_features_is_named_in_one_sentence(
    lake_settings: Settings,
    release_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(offline, "load_settings", lambda: lake_settings)
    day, output = date(2020, 1, 1), tmp_path / "none.parquet"
    arguments = ["--release", str(release_folder), "--day", str(day), "--output", str(output)]
    assert offline.main(["candidates", *arguments]) == 1
    assert "gold/ranking_examples holds nothing for 2020-01-01" in capsys.readouterr().err


def _lists(file: Path) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    for row in pq.read_table(file).sort_by([("user_id", "ascending"), ("rank", "ascending")]).to_pylist():
        lists.setdefault(row["user_id"], []).append(row["item_id"])
        assert row["rank"] == len(lists[row["user_id"]])
    return lists
