"""Reference top-k ranking metrics: numpy only, full-catalogue lists in, per-user values out.

Run `python evaluate.py` to check the hand-computed example at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.integer]
Floats = npt.NDArray[np.floating]

NO_ITEM = -1


@dataclass(frozen=True)
class Metrics:
    """Accuracy per user (so that it can be resampled) and list properties over all users."""

    recall: Floats
    ndcg: Floats
    coverage: float
    popularity_rank: float


def top_k(scores: Floats, k: int, exclude: Sequence[Ints] | None = None) -> Ints:
    """Best k item ids of each row, best first; a tie goes to the lower id.

    Items in `exclude[row]` and items scored -inf or NaN never appear; a place left empty is NO_ITEM.
    """
    lists = np.full((len(scores), k), NO_ITEM, dtype=np.int64)
    for row, user_scores in enumerate(scores):
        values = np.where(np.isnan(user_scores), -np.inf, user_scores)
        if exclude is not None:
            values[exclude[row]] = -np.inf
        threshold = np.partition(values, -k)[-k] if len(values) > k else -np.inf
        candidates = np.flatnonzero((values >= threshold) & (values > -np.inf))
        best = candidates[np.argsort(-values[candidates], kind="stable")][:k]
        lists[row, : len(best)] = best
    return lists


def evaluate(
    recommended: Ints,
    targets: Sequence[Ints],
    popularity_rank: Ints,
    k: int = 20,
    capped: bool = True,
) -> Metrics:
    """Score one list of item ids per user against that user's set of relevant items.

    recall: hits / min(k, |targets|), or hits / |targets| if not `capped`.
    ndcg: binary gains; the ideal list holds min(k, |targets|) hits.
    coverage: share of the catalogue that is in at least one user's list.
    popularity_rank: mean rank of the recommended items, 1 = most popular; higher = more novel.
    `popularity_rank[item]` must have one entry for each item of the catalogue.
    """
    if recommended.shape[1] < k:
        raise ValueError(f"lists of {recommended.shape[1]} items cannot be scored at k={k}")
    lists = recommended[:, :k]
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discount)
    recall = np.zeros(len(lists))
    ndcg = np.zeros(len(lists))
    for row, (items, wanted) in enumerate(zip(lists, targets, strict=True)):
        given = items[items != NO_ITEM]
        if len(np.unique(given)) != len(given):
            raise ValueError(f"user {row}: an item is recommended twice")
        relevant = np.unique(wanted)
        if len(relevant) == 0:
            raise ValueError(f"user {row} has no targets: leave such users out")
        hit = np.isin(items, relevant)
        best_case = min(k, len(relevant))
        recall[row] = hit.sum() / (best_case if capped else len(relevant))
        ndcg[row] = discount[hit].sum() / ideal[best_case - 1]
    shown = lists[lists != NO_ITEM]
    return Metrics(
        recall=recall,
        ndcg=ndcg,
        coverage=len(np.unique(shown)) / len(popularity_rank),
        popularity_rank=float(popularity_rank[shown].mean()),
    )


def _resampled_means(values: Floats, draws: int, seed: int) -> Floats:
    """Mean of each bootstrap sample of users; the same seed draws the same users."""
    rng = np.random.default_rng(seed)
    samples = (rng.integers(0, len(values), size=len(values)) for _ in range(draws))
    return np.array([values[users].mean() for users in samples])


def interval(values: Floats, draws: int = 1000, seed: int = 0) -> tuple[float, float]:
    """95 % percentile-bootstrap interval of the mean over users."""
    low, high = np.percentile(_resampled_means(values, draws, seed), [2.5, 97.5])
    return float(low), float(high)


def paired_ratio(candidate: Floats, reference: Floats, draws: int = 1000, seed: int = 0) -> tuple[float, float, float]:
    """Mean of `candidate` over mean of `reference` (same users) and its 95 % interval."""
    if len(candidate) != len(reference):
        raise ValueError("both models must be scored on the same users")
    ratios = _resampled_means(candidate, draws, seed) / _resampled_means(reference, draws, seed)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return float(candidate.mean() / reference.mean()), float(low), float(high)


def _check_by_hand() -> None:
    """Two users, five items, k = 3; every expected number is worked out in the comments."""
    scores = np.array([[5.0, 4.0, 3.0, 2.0, 1.0], [0.0, 9.0, 9.0, np.nan, 1.0]])
    lists = top_k(scores, k=3, exclude=[np.array([0]), np.array([], dtype=int)])
    assert lists.tolist() == [[1, 2, 3], [1, 2, 4]]  # item 0 is masked; the tie 1-2 goes to 1
    result = evaluate(lists, [np.array([2, 0]), np.array([1, 2, 3, 4])], np.arange(1, 6), k=3)
    # User 0: one hit (item 2, place 2) of two targets: recall 1/2,
    # ndcg = (1/log2 3) / (1 + 1/log2 3) = 0.63093 / 1.63093 = 0.38685.
    # User 1: three hits in three places, min(3, 4 targets) = 3: recall 1, ndcg 1.
    assert np.allclose(result.recall, [0.5, 1.0])
    assert np.allclose(result.ndcg, [0.38685, 1.0], atol=1e-5)
    assert result.coverage == 4 / 5  # items 1, 2, 3, 4 of five
    assert np.isclose(result.popularity_rank, (2 + 3 + 4 + 2 + 3 + 5) / 6)
    uncapped = evaluate(lists, [np.array([2, 0]), np.array([1, 2, 3, 4])], np.arange(1, 6), 3, False)
    assert np.allclose(uncapped.recall, [1 / 2, 3 / 4])
    few = top_k(np.array([[1.0, -np.inf, 2.0]]), k=3)
    assert few.tolist() == [[2, 0, NO_ITEM]]
    low, high = interval(np.array([0.0, 1.0] * 200))
    assert 0.44 < low < 0.5 < high < 0.56
    assert paired_ratio(np.array([0.2, 0.4]), np.array([0.1, 0.2])) == (2.0, 2.0, 2.0)


if __name__ == "__main__":
    _check_by_hand()
    print("1 passed, 0 failed")
