"""Evaluation of many users over a large catalogue: ranked in full and scored, with its memory.

    python -m benchmarks.evaluation [--users 100000] [--items 100000] [--factors 64] [--peer-users 1000]

Ranks every item for every user (inner products of random vectors; a list of 500 each), then computes all metrics,
slices and intervals. The peer does recall and nDCG for fewer users with a loop over users, scaled up by users.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import numpy.typing as npt

from benchmarks.report import report
from models.baselines.interface import best_of_each_row
from models.metrics.beyond_accuracy import ItemStatistics, character
from models.metrics.ranking import Targets, score_lists
from models.metrics.resampling import bounds, resampled_means
from models.metrics.slices import groups_by_activity, item_groups, score_item_groups, score_user_groups
from tests.models.metrics import reference_metrics as reference

GOAL_SECONDS = 300.0
LONG, SHORT = 500, 20
_CELLS = 16_000_000
Vectors = npt.NDArray[np.float32]


def main() -> None:
    """Rank, score, compare with the peer, report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluation", description=__doc__.split("\n")[0])
    parser.add_argument("--users", type=int, default=100_000, help="default 100,000")
    parser.add_argument("--items", type=int, default=100_000, help="default 100,000")
    parser.add_argument("--factors", type=int, default=64, help="length of the vectors (default 64)")
    parser.add_argument("--peer-users", type=int, default=1_000, help="users of the peer (default 1,000)")
    given = parser.parse_args()
    random = np.random.default_rng(7)
    users = random.standard_normal((given.users, given.factors), np.float32)
    items = random.standard_normal((given.items, given.factors), np.float32)
    targets = [np.unique((given.items * random.random(random.integers(1, 30)) ** 3).astype(int)) for _ in users]
    before = _peak_gib()
    started = time.perf_counter()
    lists = rank(users, items)
    ranked = time.perf_counter() - started
    measure(lists, targets, given.items)
    seconds = time.perf_counter() - started
    print(
        f"{given.users:,} users × {given.items:,} items: ranked in {ranked:.1f} s, in all {seconds:.1f} s", flush=True
    )
    some, wanted = lists[: given.peer_users], targets[: given.peer_users]
    scaled = _peer(users[: given.peer_users], items, wanted) * given.users / len(some)
    expected = reference.evaluate(some, wanted, np.arange(1, given.items + 1), SHORT).ndcg.tolist()
    assert score_lists(some, Targets.of(wanted), SHORT).ndcg.tolist() == expected, "the reference gives other numbers"
    report(
        name="evaluation",
        ours=round(seconds, 1),
        peer=round(scaled, 1),
        peer_name=f"the reference, a loop over users: {given.peer_users:,} users, scaled up; recall and nDCG only",
        ratio=scaled / seconds,
        goal=f"< {GOAL_SECONDS:g} s",
        met=seconds < GOAL_SECONDS,
        users=given.users,
        items=given.items,
        factors=given.factors,
        seconds_ranking=round(ranked, 1),
        seconds_metrics=round(seconds - ranked, 1),
        peak_memory_gib=round(_peak_gib(), 2),
        memory_of_the_input_gib=round(before, 2),
    )


def rank(users: Vectors, items: Vectors) -> npt.NDArray[np.int32]:
    """[users, 500] best items of each user, a block at a time."""
    size = max(1, _CELLS // len(items))
    parts = [best_of_each_row(users[start : start + size] @ items.T, LONG) for start in range(0, len(users), size)]
    return np.concatenate(parts)


def measure(lists: npt.NDArray[np.int32], targets: list[npt.NDArray[np.int64]], items: int) -> None:
    """All metrics of `headrace evaluate` for one model, with generated dataset statistics."""
    random = np.random.default_rng(8)
    popularity = np.sort(random.pareto(1.0, items))[::-1] * 10 + 1
    statistics = ItemStatistics(
        popularity, popularity, len(lists), random.integers(0, 300, items), np.arange(items) < SHORT
    )
    wanted = Targets.of(targets)
    short, _ = score_lists(lists, wanted, SHORT), score_lists(lists, wanted, LONG)
    low, high = bounds(resampled_means([short.recall, short.ndcg])[1])
    like = character(lists, wanted, statistics, SHORT)
    groups = groups_by_activity(random.poisson(3, len(lists)).astype(float))
    slices = score_user_groups(short, groups)
    slices |= score_item_groups(lists, wanted, item_groups(popularity, random.random(items) * 400), SHORT)
    print(f"nDCG@20 {short.ndcg.mean():.5f} ({low:.5f}–{high:.5f}), coverage {like.coverage:.3f}, {len(slices)} slices")


def _peer(users: Vectors, items: Vectors, targets: list[npt.NDArray[np.int64]]) -> float:
    """Seconds of the reference."""
    started = time.perf_counter()
    lists = reference.top_k(users @ items.T, LONG)
    for k in (SHORT, LONG):
        reference.evaluate(lists, targets, np.arange(1, len(items) + 1), k)
    return time.perf_counter() - started


def _peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
