"""What a day's ranker is trained from: candidates with features as served, and the validation users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property

import numpy as np
import numpy.typing as npt

from headrace.errors import HeadraceError
from headrace.features.ranking import CATEGORICAL
from headrace.release import bundle as release
from headrace.release.bundle import Release, open_release
from headrace.settings import Settings
from headrace.tables import GOLD_RANKING_EXAMPLES
from models.ranker.examples.examples import RankingExamples, joined, read_examples, target_counts
from models.training.files import CANDIDATES, HOLDOUT_BUNDLE
from models.training.gold import Lake
from models.training.validation_users import choose_validation_users
from models.two_tower.examples.holdout import count_targets


@dataclass(frozen=True)
class RankingData:
    """Examples of all users, and how they are used."""

    examples: RankingExamples
    validating: npt.NDArray[np.bool_]
    """[users]: whether it is a validation user."""
    validation_counts: npt.NDArray[np.int64]
    """[validation users, 2]: number of all and of new targets of each validation user."""
    cardinalities: tuple[int, ...]
    """Codes of each of `CATEGORICAL`, the unknown one included."""
    earlier: Mapping[date, RankingExamples] = field(default_factory=dict)
    """Of earlier holdouts, by day; with those of validation users, whose earlier events are known at serving time."""

    @property
    def validation_users(self) -> RankingExamples:
        """Examples that are not trained on."""
        return self.examples[np.flatnonzero(self.validating)]

    @property
    def learning(self) -> RankingExamples:
        """Training examples without the validation users'."""
        return joined([self.examples[np.flatnonzero(~self.validating)], *self.earlier.values()])

    @cached_property
    def everyone(self) -> RankingExamples:
        """All that there is."""
        return joined([self.examples, *self.earlier.values()])


def read_ranking_data(settings: Settings, day: date) -> RankingData:
    """Raises BadInputError if the day's own candidates are missing or too few. Earlier ones that do not fit are left
    out, with a sentence."""
    training = settings.training
    examples, bundle = _candidates(settings, day)
    vocabularies = _vocabularies(bundle)
    ranking = Lake(settings.lake_root).read(GOLD_RANKING_EXAMPLES, day, ["user_id", "own_items", "target_items"])
    validating = choose_validation_users(examples.user_ids, training.ranker_validation_share)
    counts = target_counts(examples[np.flatnonzero(validating)], count_targets(ranking, bundle))
    earlier: dict[date, RankingExamples] = {}
    for each in training.earlier_days(day):
        try:
            found, its_bundle = _candidates(settings, each)
        except HeadraceError as error:
            print(f"no candidates of the holdout up to {each}: {error}")
            continue
        categorical = recoded(found.categorical, _vocabularies(its_bundle), vocabularies)
        earlier[each] = replace(found, categorical=categorical)
    return RankingData(examples, validating, counts, tuple(len(names) + 1 for names in vocabularies), earlier)


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


def _candidates(settings: Settings, day: date) -> tuple[RankingExamples, Release]:
    folder = settings.training_folder / day.isoformat()
    return read_examples(folder / CANDIDATES, settings.training.ranker_users), open_release(folder / HOLDOUT_BUNDLE)


def _vocabularies(bundle: Release) -> list[list[str]]:
    names = bundle.json(release.VOCABULARIES)
    return [names[name] for name in CATEGORICAL]
