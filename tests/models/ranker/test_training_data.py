"""What a ranker learns from besides its own holdout."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from models.ranker.examples.training_data import read_ranking_data, recoded
from models.training.files import CANDIDATES
from tests.models.conftest import Trained
from tests.models.planted_world import DAY, HOLDOUT_DAYS

EARLIER = DAY - timedelta(days=HOLDOUT_DAYS)


def test_codes_of_another_day_are_those_of_the_same_names() -> None:
    codes = np.array([[[0, 1], [1, 2], [2, 0], [3, 1]]], np.int32)
    found = recoded(codes, [["food", "toys", "books"], ["own", "other"]], [["books", "food"], ["other", "own"]])
    assert found.tolist() == [[[0, 2], [2, 1], [0, 0], [1, 2]]]


def test_the_validated_ranker_learns_from_earlier_weeks_only_and_the_served_one_from_all(
    ranker: Trained, tmp_path: Path
) -> None:
    settings = ranker.settings.model_copy(update={"home": tmp_path, "lake": ranker.settings.lake_root})
    shutil.copytree(ranker.folder, settings.training_folder / str(DAY))
    alone = read_ranking_data(settings, DAY)
    users = len(alone.everyone)
    assert (alone.earlier, len(alone.learning)) == ((), users - len(alone.validation_users))
    assert not set(alone.learning.user_ids) & set(alone.validation_users.user_ids)
    shutil.copytree(ranker.folder, settings.training_folder / str(EARLIER))
    both = read_ranking_data(settings, DAY)
    assert both.earlier == (EARLIER,)
    assert (len(both.everyone), len(both.learning)) == (2 * users, users)
    assert both.validation_users.user_ids == alone.validation_users.user_ids
    np.testing.assert_array_equal(both.learning.numeric, alone.everyone.numeric)
    for part in (both.learning, both.validation_users):
        assert np.shares_memory(part.numeric, both.everyone.numeric), "memory holds the lists once"


def test_candidates_that_do_not_fit_are_left_out_with_a_sentence(
    ranker: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ranker.settings.model_copy(update={"home": tmp_path, "lake": ranker.settings.lake_root})
    shutil.copytree(ranker.folder, settings.training_folder / str(DAY))
    folder = settings.training_folder / str(EARLIER)
    folder.mkdir()
    (folder / CANDIDATES).write_text("of another version")
    assert not read_ranking_data(settings, DAY).earlier
    assert f"no candidates of the holdout up to {EARLIER}" in capsys.readouterr().out
    shutil.copytree(ranker.folder, folder, dirs_exist_ok=True)
    table = pq.read_table(folder / CANDIDATES)
    nothing = [np.zeros(len(rows), np.float32) for rows in table.column("item_rows")]
    column = table.schema.get_field_index("labels")
    pq.write_table(table.set_column(column, "labels", [nothing]), folder / CANDIDATES)
    assert not read_ranking_data(settings, DAY).earlier
    assert "none of the" in capsys.readouterr().out
