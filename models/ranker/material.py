"""What a day's ranker is trained from: candidates with features as served, and who judges."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from headrace import release
from headrace.ranking_features import CATEGORICAL
from headrace.release import open_release
from headrace.settings import Settings
from headrace.tables import GOLD_RANKING_EXAMPLES
from models.gold import Lake
from models.judges import choose_judges
from models.ranker.examples import RankingExamples, read_examples, target_counts
from models.training_files import CANDIDATES, HOLDOUT_BUNDLE
from models.two_tower.holdout import count_targets


@dataclass(frozen=True)
class RankingMaterial:
    """Examples of all users, and how they are used."""

    examples: RankingExamples
    judging: npt.NDArray[np.bool_]
    """[users]: who judges instead of training."""
    judge_counts: npt.NDArray[np.int64]
    """[judges, 2]: number of all and of new targets of each judge."""
    cardinalities: tuple[int, ...]
    """Codes of each of `CATEGORICAL`, the unknown one included."""

    @property
    def judges(self) -> RankingExamples:
        """Those who judge."""
        return self.examples[np.flatnonzero(self.judging)]


def read_material(settings: Settings, day: date) -> RankingMaterial:
    """Raises BadInputError if the candidates are missing or too few."""
    folder = settings.training_folder / day.isoformat()
    training = settings.training
    examples = read_examples(folder / CANDIDATES, training.ranker_users)
    bundle = open_release(folder / HOLDOUT_BUNDLE)
    vocabularies = bundle.json(release.VOCABULARIES)
    ranking = Lake(settings.lake_root).read(GOLD_RANKING_EXAMPLES, day, ["user_id", "own_items", "target_items"])
    judging = choose_judges(examples.user_ids, training.ranker_validation_share)
    counts = target_counts(examples[np.flatnonzero(judging)], count_targets(ranking, bundle))
    cardinalities = tuple(len(vocabularies[name]) + 1 for name in CATEGORICAL)
    return RankingMaterial(examples, judging, counts, cardinalities)
