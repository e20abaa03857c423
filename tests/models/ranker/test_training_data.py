"""What a ranker learns from besides its own holdout."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from models.ranker.examples.training_data import read_ranking_data, recoded
from models.training.files import CANDIDATES, HOLDOUT_BUNDLE
from tests.models.conftest import Trained
from tests.models.planted_world import DAY, HOLDOUT_DAYS

EARLIER = DAY - timedelta(days=HOLDOUT_DAYS)


def test_codes_of_another_day_are_those_of_the_same_names() -> None:
    codes = np.array([[[0, 1], [1, 2], [2, 0], [3, 1]]], np.int32)
    found = recoded(codes, [["food", "toys", "books"], ["own", "other"]], [["books", "food"], ["other", "own"]])
    assert found.tolist() == [[[0, 2], [2, 1], [0, 0], [1, 2]]]


def test_lists_of_an_earlier_holdout_are_trained_on_too_and_never_validated_on(ranker: Trained, tmp_path: Path) -> None:
    settings = ranker.settings.model_copy(update={"home": tmp_path, "lake": ranker.settings.lake_root})
    for day in (DAY, EARLIER):
        folder = settings.training_folder / str(day)
        shutil.copytree(ranker.folder / HOLDOUT_BUNDLE, folder / HOLDOUT_BUNDLE)
        shutil.copy(ranker.folder / CANDIDATES, folder)
    alone = read_ranking_data(ranker.settings, DAY)
    both = read_ranking_data(settings, DAY)
    assert list(both.earlier) == [EARLIER]
    assert len(both.learning) == len(alone.learning) + len(alone.examples)
    assert len(both.everyone) == 2 * len(alone.examples)
    assert both.validation_users.user_ids == alone.validation_users.user_ids
    last = both.everyone[np.arange(len(alone.examples), len(both.everyone))]
    np.testing.assert_array_equal(last.categorical, alone.examples.categorical)


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
