"""The comparison of lists with what users took after the split."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.errors import BadInputError
from models.baselines import content, counting, ease
from models.evaluation.__main__ import main
from models.evaluation.baseline_lists import baseline_lists, known_interactions
from models.evaluation.baselines import personal_frequency, popularity
from models.evaluation.comparison import broken_floors, compare
from models.evaluation.ground_truth import later_events, newest_known_event, read_ground_truth
from models.evaluation.lists_file import read_lists
from models.evaluation.plots import draw
from models.training.gold import Lake
from tests.models.conftest import Trained
from tests.models.planted_world import DAY, HOLDOUT_DAY, NEVER_BOUGHT, microseconds


@pytest.fixture(scope="session")
def ground_truth(retrieval: Trained):
    return read_ground_truth(Lake(retrieval.settings.lake_root), DAY, retrieval.test_events)


def names(ground_truth, rows) -> list[str]:
    """Ids of the items in a list."""
    return [ground_truth.catalogue.item_ids[row] for row in rows if row >= 0]


def test_task_new_asks_only_for_items_that_the_user_never_took(ground_truth):
    for place, user in enumerate(ground_truth.tasks["new"].users):
        targets = ground_truth.tasks["new"].targets
        wanted = set(targets.items[targets.users == place])
        assert wanted
        assert not wanted & set(ground_truth.own.of(user))
    assert ground_truth.tasks["all"].targets.counts.sum() > ground_truth.tasks["new"].targets.counts.sum()


def test_items_without_an_event_before_the_split_are_not_targets(ground_truth):
    assert NEVER_BOUGHT not in ground_truth.catalogue.item_ids


def test_personal_frequency_puts_own_items_first_and_then_popular_ones(ground_truth):
    lists = personal_frequency(ground_truth, "all", 500)
    own = ground_truth.own.of(0)
    assert lists[0, : len(own)].tolist() == own.tolist()
    assert len(set(names(ground_truth, lists[0]))) == len(names(ground_truth, lists[0]))


def test_popularity_leaves_out_own_items_for_task_new(ground_truth):
    for row, user in zip(popularity(ground_truth, "new", 500), ground_truth.tasks["new"].users, strict=True):
        assert not set(row) & set(ground_truth.own.of(user))


def test_users_without_a_list_get_the_popular_one(ground_truth, tmp_path: Path):
    pq.write_table(
        pa.table({"user_id": ["user-0"], "rank": pa.array([1], pa.int32()), "item_id": [NEVER_BOUGHT]}),
        tmp_path / "lists.parquet",
    )
    lists = read_lists(tmp_path / "lists.parquet", ground_truth, "all")
    place = [ground_truth.user_ids[user] for user in ground_truth.tasks["all"].users].index("user-0")
    assert names(ground_truth, popularity(ground_truth, "all", 500)[1 - place]) == names(ground_truth, lists[1 - place])
    assert lists[place, 0] >= len(ground_truth.catalogue.item_ids)  # outside the catalogue: a miss that keeps its place
    assert (lists[place, 1:] == -1).all()


def test_popular_lists_break_both_floors_and_personal_frequency_breaks_none_on_all(ground_truth):
    of_all = compare(ground_truth, "all", popularity(ground_truth, "all", 500))
    of_new = compare(ground_truth, "new", popularity(ground_truth, "new", 500))
    assert [problem.split(":")[0] for problem in broken_floors([of_all, of_new])] == ["all", "all", "new"]
    assert not broken_floors([compare(ground_truth, "all", personal_frequency(ground_truth, "all", 500))])
    assert of_new.scores["popularity"].ndcg_ratio[0] == 1.0


def test_the_command_prints_a_table_and_exits_with_one_below_the_floors(
    retrieval: Trained,
    ground_truth,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setattr("models.evaluation.__main__.load_settings", lambda: retrieval.settings)
    lists = {}
    for task in ("all", "new"):
        rows = [
            {"user_id": ground_truth.user_ids[user], "rank": rank, "item_id": item}
            for user, own in zip(ground_truth.tasks[task].users, popularity(ground_truth, task, 500), strict=True)
            for rank, item in enumerate(names(ground_truth, own), start=1)
        ]
        lists[task] = tmp_path / f"{task}.parquet"
        pq.write_table(pa.Table.from_pylist(rows), lists[task])
    report = tmp_path / "report.json"
    arguments = ["--release", str(retrieval.folder / "retrieval"), "--day", str(DAY), "--output", str(report)]
    arguments += ["--test", str(retrieval.test_events), "--lists-all", str(lists["all"])]
    arguments += ["--lists-new", str(lists["new"]), "--segment", "age", "--slices"]
    assert main(arguments) == 0
    assert main([*arguments, "--require-floors"]) == 1
    printed = capsys.readouterr()
    assert "personal frequency" in printed.out
    assert "is below its floors" in printed.err
    content = json.loads(report.read_text())
    folder = retrieval.settings.reports / "evaluation" / content["release_id"]
    assert "not logged to MLflow" in printed.err  # the folder is kept
    assert json.loads((folder / "evaluation.json").read_text()) == content
    assert {file.suffix for file in folder.iterdir()} == {".json", ".md", ".png"}
    assert "| all (240 users) | personal frequency |" in (folder / "evaluation.md").read_text()
    assert content["tasks"]["all"]["models"]["ours"]["slices"]["age: young"]["users"] == 90
    assert content["tasks"]["all"]["models"]["ours"] == content["tasks"]["all"]["models"]["popularity"]


def test_a_segment_that_no_profile_has_is_refused_with_those_there_are(retrieval: Trained):
    with pytest.raises(BadInputError, match=r"no user has the profile field 'shoe size'.*Known fields: age"):
        read_ground_truth(Lake(retrieval.settings.lake_root), DAY, retrieval.test_events, ["shoe size"])


def test_the_calibration_curve_is_drawn_where_the_release_has_one(ground_truth, tmp_path: Path):
    comparison = compare(ground_truth, "all", popularity(ground_truth, "all", 500))
    curve = {"predicted": [0.1, 0.4], "happened": [0.2, 0.3], "calibration_error": 0.1}
    assert {path.name for path in draw(tmp_path, [comparison], curve)} == {path.name for path in tmp_path.iterdir()}
    assert (tmp_path / "calibration.png").stat().st_size > 5000


def test_events_of_unknown_items_only_cannot_be_evaluated(retrieval: Trained, tmp_path: Path):
    path = tmp_path / "events.parquet"
    row = {"event_type": "purchase", "user_id": "user-0", "item_id": "unheard of", "value": 1.0}
    pq.write_table(pa.Table.from_pylist([row]), path)
    with pytest.raises(BadInputError, match="no event has an item that occurs before"):
        read_ground_truth(Lake(retrieval.settings.lake_root), DAY, path)


def test_test_events_that_the_features_already_include_are_refused_as_a_leak(retrieval: Trained, tmp_path: Path):
    lake = Lake(retrieval.settings.lake_root)
    newest = newest_known_event(lake, DAY)
    path = tmp_path / "events.parquet"
    rows = [
        {"event_type": "purchase", "user_id": "user-0", "item_id": "item-0-1", "value": 1.0, "timestamp": time}
        for time in (newest + timedelta(days=1), newest)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    with pytest.raises(BadInputError, match=r"leak: .*events.parquet, row 1: timestamp .* is not after"):
        read_ground_truth(lake, DAY, path)
    pq.write_table(pa.Table.from_pylist(rows[:1]), path)
    assert read_ground_truth(lake, DAY, path).user_ids == ["user-0"]


@pytest.fixture(scope="module")
def of_baselines(retrieval: Trained, ground_truth):
    events = known_interactions(Lake(retrieval.settings.lake_root), DAY)
    return baseline_lists(ground_truth, ("all", "new"), events, [counting.Personal(), ease.Ease(), content.Content()])


def test_baselines_are_trained_on_the_events_of_the_features_and_no_others(of_baselines, ground_truth):
    mine = personal_frequency(ground_truth, "all", 500)
    for row, user in enumerate(ground_truth.tasks["all"].users):
        own = len(ground_truth.own.of(int(user)))
        assert set(of_baselines["all"]["personal frequency"][row, :own]) == set(mine[row, :own])
    for row, user in enumerate(ground_truth.tasks["new"].users):
        assert not set(of_baselines["new"]["EASE"][row]) & set(ground_truth.own.of(int(user)))


def test_models_that_see_the_taste_are_ahead_of_popularity_in_the_same_table(of_baselines, ground_truth):
    scores = compare(ground_truth, "new", popularity(ground_truth, "new", 500), of_baselines["new"]).scores
    assert scores["EASE"].ndcg_at_20 > 2 * scores["popularity"].ndcg_at_20
    assert scores["content (TF-IDF)"].ndcg_ratio[2] < 1  # by words too: the whole interval of the ratio to it
    assert list(scores)[:2] == ["ours", "popularity"]


def test_a_model_that_finds_nothing_has_no_ratio_and_the_report_says_null(ground_truth):
    nothing = np.full((len(ground_truth.tasks["all"].users), 500), -1, np.int32)
    comparison = compare(ground_truth, "all", popularity(ground_truth, "all", 500), {"nothing": nothing})
    report = comparison.as_json()["models"]["nothing"]
    assert (report["ndcg_at_20"], report["ndcg_ratio"]) == (0.0, [None, None, None])


def test_without_a_file_the_lakes_own_later_events_are_the_ground_truth(retrieval: Trained, tmp_path: Path):
    lake = Lake(retrieval.settings.lake_root)
    ground_truth = read_ground_truth(lake, HOLDOUT_DAY, later_events(lake, HOLDOUT_DAY, tmp_path))
    later = {u for u, events in retrieval.world.events.items() if events[-1][0] >= microseconds(HOLDOUT_DAY)}
    assert set(ground_truth.user_ids) == later
    with pytest.raises(BadInputError, match=f"the lake has no event after {DAY}"):
        later_events(lake, DAY, tmp_path)
