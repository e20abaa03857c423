"""What a day's ranker is trained from: candidates with features as served, and the validation users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial

import numpy as np
import numpy.typing as npt

from headrace.errors import HeadraceError
from headrace.features.ranking import CATEGORICAL
from headrace.release import bundle as release
from headrace.release.bundle import Release, open_release
from headrace.settings import Settings
from headrace.tables import GOLD_RANKING_EXAMPLES
from models.ranker.examples.candidate_files import CandidateFile, open_candidates
from models.ranker.examples.examples import RankingExamples, target_counts
from models.training.files import CANDIDATES, HOLDOUT_BUNDLE
from models.training.gold import Lake
from models.training.validation_users import choose_validation_users
from models.two_tower.examples.holdout import count_targets


@dataclass(frozen=True)
class RankingData:
    """Lists of all holdouts in one array, and which of them are for what. All parts are views of it.

    Validation looks forward in time: the validated ranker learns from the earlier holdouts only, and is evaluated on
    the last one. Without an earlier one it learns from the other users of the last, and what all have in common, the
    demand of these weeks, flatters it.
    """

    everyone: RankingExamples
    """The last holdout, validation users first, and then the earlier ones."""
    validation_counts: npt.NDArray[np.int64]
    """[validation users, 2]: number of all and of new targets of each validation user."""
    cardinalities: tuple[int, ...]
    """Codes of each of `CATEGORICAL`, the unknown one included."""
    learned_from: int
    """The validated ranker learns from the lists from this one on."""
    earlier: tuple[date, ...] = ()
    """Last days of the earlier holdouts."""

    @property
    def validation_users(self) -> RankingExamples:
        """What the validated ranker is evaluated on."""
        return self.everyone[: len(self.validation_counts)]

    @property
    def learning(self) -> RankingExamples:
        """What it learns from."""
        return self.everyone[self.learned_from :]


def read_ranking_data(settings: Settings, day: date) -> RankingData:
    """Raises BadInputError if the day's own candidates are missing or too few. Earlier ones that do not fit are left
    out, with a sentence."""
    training = settings.training
    last = _holdout(settings, day)
    earlier = []
    for each in training.earlier_days(day):
        try:
            earlier.append(_holdout(settings, each))
        except HeadraceError as error:
            _left_out(each, error)
    everyone, days = _all_lists([last, *earlier])
    ranking = Lake(settings.lake_root).read(GOLD_RANKING_EXAMPLES, day, ["user_id", "own_items", "target_items"])
    validating = int(choose_validation_users(last.file.user_ids, training.ranker_validation_share).sum())
    return RankingData(
        everyone,
        target_counts(last.file.user_ids[:validating], count_targets(ranking, last.bundle)),
        tuple(len(names) + 1 for names in last.vocabularies),
        len(last.file.user_ids) if days else validating,
        tuple(days),
    )


def recoded(
    codes: npt.NDArray[np.int32], from_names: Sequence[Sequence[str]], to_names: Sequence[Sequence[str]]
) -> npt.NDArray[np.int32]:
    """[…, columns] of codes of `from_names` (by column; 0 is unknown, then by index from 1) as codes of `to_names`."""
    result = np.empty_like(codes)
    for column, (old, new) in enumerate(zip(from_names, to_names, strict=True)):
        code_of = {name: code for code, name in enumerate(new, start=1)}
        table = np.array([0, *(code_of.get(name, 0) for name in old)], codes.dtype)
        result[..., column] = table[codes[..., column]]
    return result


@dataclass(frozen=True)
class _Holdout:
    day: date
    file: CandidateFile
    bundle: Release
    """Of the two-tower whose candidates these are."""

    @property
    def vocabularies(self) -> list[list[str]]:
        names = self.bundle.json(release.VOCABULARIES)
        return [names[name] for name in CATEGORICAL]


def _holdout(settings: Settings, day: date) -> _Holdout:
    folder = settings.training_folder / day.isoformat()
    file = open_candidates(folder / CANDIDATES, settings.training.ranker_users)
    return _Holdout(day, file, open_release(folder / HOLDOUT_BUNDLE))


def _all_lists(holdouts: Sequence[_Holdout]) -> tuple[RankingExamples, list[date]]:
    """With the codes of the first one; and the days of the others, of which those that cannot be read are left out."""
    codes = holdouts[0].vocabularies
    users = [user for each in holdouts for user in each.file.user_ids]
    result = RankingExamples.blank(users, max(int(each.file.lengths.max()) for each in holdouts))
    begin = 0
    for number, each in enumerate(holdouts):
        end = begin + len(each.file.user_ids)
        try:
            each.file.fill(result[begin:end], partial(recoded, from_names=each.vocabularies, to_names=codes))
        except HeadraceError as error:
            if not number:
                raise
            _left_out(each.day, error)
            del result
            return _all_lists([*holdouts[:number], *holdouts[number + 1 :]])
        begin = end
    return result, [each.day for each in holdouts[1:]]


def _left_out(day: date, error: HeadraceError) -> None:
    print(f"no candidates of the holdout up to {day}: {error}")
