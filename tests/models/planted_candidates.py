"""Candidates whose pattern is known: a user takes what the tower and popularity speak for, and never of category 3."""

from __future__ import annotations

import numpy as np

from headrace.features.ranking import CATEGORICAL, NUMERIC, OF_USER
from headrace.outcomes import OUTCOMES
from models.ranker.examples.examples import RankingExamples, nothing_happened
from models.ranker.examples.training_data import RankingData

CARDINALITIES = (6, 4, 3)
REFUSED_CATEGORY = 3
CANDIDATES, TAKEN = 30, 5


def planted_examples(users: int = 120, seed: int = 5) -> RankingExamples:
    """Lists of 30 candidates, every third user's of 20 only; five of each are taken."""
    random = np.random.default_rng(seed)
    numeric = random.normal(0, 1, (users, CANDIDATES, len(NUMERIC))).astype(np.float32)
    numeric[:, :, OF_USER] = numeric[:, :1, OF_USER]
    sizes = np.array(CARDINALITIES)
    categorical = random.integers(0, sizes, (users, CANDIDATES, len(CATEGORICAL))).astype(np.int32)
    present = np.ones((users, CANDIDATES), bool)
    present[::3, 20:] = False
    liking = numeric[:, :, NUMERIC.index("tower_score")] + numeric[:, :, NUMERIC.index("popularity")]
    liking = liking + random.normal(0, 0.3, liking.shape)
    liking[(categorical[:, :, 0] == REFUSED_CATEGORY) | ~present] = -np.inf
    best = np.argsort(-liking, axis=1)[:, :TAKEN]
    taken = np.zeros((users, CANDIDATES), np.float32)
    np.put_along_axis(taken, best, 1.0, axis=1)
    names = [f"user-{user}" for user in range(users)]
    return RankingExamples(names, numeric, categorical, taken, present, **nothing_happened(present))


def shown_examples(users: int = 300, seed: int = 5, *, biased: bool = True) -> RankingExamples:
    """Lists of 30, mostly shown the dearest first; of the tower's better half four in five are taken.

    Where `biased` only the first place is surely seen, and the chance halves every six places: the propensity.
    """
    random = np.random.default_rng(seed)
    examples = planted_examples(users, seed)
    examples.present[:] = True
    price, tower = (examples.numeric[:, :, NUMERIC.index(name)] for name in ("price", "tower_score"))
    order = np.argsort(random.normal(0, 1, price.shape) - price, axis=1)
    examples.positions[:] = np.argsort(order, axis=1) + 1
    seen = 0.5 ** ((examples.positions - 1) / 6)
    if biased:
        examples.propensities[:] = seen
    chance = 0.8 * (tower > 0) * (seen if biased else 1.0)
    examples.taken[:] = random.random(chance.shape) < chance
    examples.outcomes[:, :, OUTCOMES.index("purchase")] = examples.taken * (examples.numeric[:, :, 0] > 0)
    return examples


def in_one_holdout(examples: RankingExamples, validating: float = 0.25) -> RankingData:
    """The first users validate; there is no earlier holdout."""
    users = int(len(examples) * validating)
    return RankingData(examples, np.full((users, 2), TAKEN), CARDINALITIES, users)
