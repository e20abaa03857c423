"""Accuracy of whole-catalogue lists, per user: vectorised, in blocks of users, so that a million of them fit.

Recall@k = hits / min(k, targets). nDCG@k has binary gains, and its ideal list holds min(k, targets) hits. A test holds
them to a plain reference implementation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.errors import BadInputError

NO_ITEM = -1
"""An empty position of a list."""

Ints = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.float64]
_BLOCK = 8192
"""Users scored at a time: about 150 MB at k = 500."""


@dataclass(frozen=True)
class Targets:
    """Relevant items of each user: distinct, at least one."""

    users: Ints
    """User number of each target, ascending."""
    items: Ints
    counts: Ints
    """[users]: number of targets."""

    @classmethod
    def of(cls, targets: Sequence[Ints]) -> Targets:
        """From one array of items per user. Raises BadInputError if a user has none."""
        lengths = [len(items) for items in targets]
        users = np.repeat(np.arange(len(targets)), lengths)
        items = np.concatenate([np.zeros(0, np.int64), *targets]).astype(np.int64)
        pairs = np.unique(np.stack([users, items], axis=1), axis=0)
        counts = np.bincount(pairs[:, 0], minlength=len(targets))
        if len(counts) and not counts.min():
            raise BadInputError(f"user {int(counts.argmin())} has no targets", "Leave such users out")
        return cls(pairs[:, 0], pairs[:, 1], counts)

    def block(self, start: int, stop: int) -> Targets:
        """Those of users `start` to `stop` (not included), numbered from 0."""
        first, last = np.searchsorted(self.users, [start, stop])
        return Targets(self.users[first:last] - start, self.items[first:last], self.counts[start:stop])


@dataclass(frozen=True)
class PerUser:
    """One number per user, so that users can be resampled."""

    recall: Floats
    ndcg: Floats
    hit: Floats
    """1 if any item of the list is relevant."""
    reciprocal_rank: Floats
    """1 / position (from 1) of the first relevant item; 0 if there is none. Its mean is MRR."""
    average_precision: Floats
    """Sum of the precision at each relevant position / min(k, targets). Its mean is MAP."""


@dataclass(frozen=True)
class ListProperties:
    """What the lists are like, right or wrong."""

    coverage: float
    """Share of the catalogue that is in at least one list."""
    popularity_rank: float
    """Mean popularity rank of what is shown, 1 = most popular."""


def score_lists(lists: Ints, targets: Targets, k: int) -> PerUser:
    """Metrics of the first `k` positions of `lists` [users, at least k], best first, empty positions `NO_ITEM`.

    Raises BadInputError if the lists are too short or name an item twice.
    """
    blocks = [_score(rows, of_block, k, start) for start, rows, of_block in in_blocks(lists, targets)]
    return PerUser(*(np.concatenate([getattr(block, field.name) for block in blocks]) for field in fields(PerUser)))


def in_blocks(lists: Ints, targets: Targets) -> Iterator[tuple[int, Ints, Targets]]:
    """(first user, lists, targets) of so many users at a time; one empty block if there are no users."""
    for start in range(0, max(1, len(lists)), _BLOCK):
        yield start, lists[start : start + _BLOCK], targets.block(start, min(start + _BLOCK, len(lists)))


def hits(lists: Ints, targets: Targets, k: int, first_user: int = 0) -> npt.NDArray[np.bool_]:
    """[users, k]: whether the item at that position is one of the user's targets."""
    if lists.shape[1] < k:
        raise BadInputError(f"lists of {lists.shape[1]} items are too short for k = {k}", "Write longer lists")
    shown = lists[:, :k].astype(np.int64)
    ordered = np.sort(shown, axis=1)
    twice = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != NO_ITEM)).any(axis=1)
    if twice.any():
        raise BadInputError(f"user {first_user + int(twice.argmax())}: an item is recommended twice", "Name it once")
    width = int(max(shown.max(initial=0), targets.items.max(initial=0))) + 1
    wanted = np.append(np.sort(targets.users * width + targets.items), np.iinfo(np.int64).max)
    keys = np.arange(len(shown))[:, None] * width + shown
    return (wanted[np.searchsorted(wanted, keys)] == keys) & (shown != NO_ITEM)


def list_properties(lists: Ints, popularity_rank: Ints, k: int) -> ListProperties:
    """Coverage and novelty of the first `k` positions; `popularity_rank` has one entry per item of the catalogue."""
    shown = lists[:, :k]
    shown = shown[shown != NO_ITEM]
    if not len(shown):
        return ListProperties(0.0, float("nan"))
    return ListProperties(len(np.unique(shown)) / len(popularity_rank), float(popularity_rank[shown].mean()))


def _score(lists: Ints, targets: Targets, k: int, first_user: int) -> PerUser:
    hit = hits(lists, targets, k, first_user)
    best_case = np.minimum(k, targets.counts)
    positions = np.arange(1, k + 1)
    discount = 1.0 / np.log2(positions + 1)
    any_hit = hit.any(axis=1)
    return PerUser(
        recall=hit.sum(axis=1) / best_case,
        ndcg=_gains(hit, discount) / np.cumsum(discount)[best_case - 1],
        hit=any_hit.astype(float),
        reciprocal_rank=np.where(any_hit, 1.0 / (hit.argmax(axis=1) + 1), 0.0),
        average_precision=(hit * hit.cumsum(axis=1) / positions).sum(axis=1) / best_case,
    )


def _gains(hit: npt.NDArray[np.bool_], discount: Floats) -> Floats:
    """Discounted gains of each user, summed exactly as `discount[hit].sum()` would: same digits, no loop over users."""
    number = hit.sum(axis=1)
    result = np.zeros(len(hit))
    row, position = np.nonzero(hit)
    for count in np.unique(number[number > 0]):
        of_users = number == count
        result[of_users] = discount[position[of_users[row]]].reshape(-1, count).sum(axis=1)
    return result
