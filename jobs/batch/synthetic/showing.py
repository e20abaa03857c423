"""The policy that chooses the items shown in a visit, and the probability of each item (the propensity).

For each lane (item number modulo the list's length) one item is drawn, so that no list shows an item twice; which lane
gets which position is random. An item's propensity is the probability that it is anywhere in this visit's list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from jobs.batch.synthetic.draws import Floats, Ints, zipf_probability, zipf_rank
from jobs.batch.synthetic.tastes import FAVOURITES, LEAF_SKEW, Tastes
from jobs.batch.synthetic.world import LIST_LENGTH, lane_size

POPULAR, TASTE, NEW = 0.45, 0.45, 0.10
"""Probability of each source; without any new item its share goes to the popular ones."""
POPULAR_SKEW = 1.1
NEW_SKEW = 0.5
"""Exponent by age: the newest item first."""


class Audience(NamedTuple):
    """The policy's inputs; every field has one entry per visit."""

    leaves: Ints
    """(…, 3) leaves that the visit is interested in."""
    weights: Floats
    """(…, 3) their shares; they add up to 1."""
    new_items: Ints
    """How many new items have appeared."""

    def at(self, index: Any) -> Audience:
        """The entries at a NumPy index."""
        return Audience(self.leaves[index], self.weights[index], self.new_items[index])

    def spread(self, width: int) -> Audience:
        """(visits, `width`, …): the entry of each visit `width` times."""
        shape = (len(self.new_items), width)
        return Audience(
            np.broadcast_to(self.leaves[:, None], (*shape, self.leaves.shape[-1])),
            np.broadcast_to(self.weights[:, None], (*shape, self.weights.shape[-1])),
            np.broadcast_to(self.new_items[:, None], shape),
        )


@dataclass(frozen=True)
class Policy:
    """Chooses items with known probabilities."""

    tastes: Tastes

    def draw(self, audience: Audience, lane: Ints, source: Floats, leaf: Floats, rank: Floats) -> Ints:
        """The item of each lane; `source`, `leaf` and `rank` are independent numbers in [0, 1)."""
        first = self.tastes.world.first_items
        popular = LIST_LENGTH * zipf_rank(rank, lane_size(first, lane), POPULAR_SKEW) + lane
        index = (leaf[..., None] >= np.cumsum(audience.weights, axis=-1)[..., :-1]).sum(axis=-1)
        liked_leaf = np.take_along_axis(audience.leaves, index[..., None], axis=-1)[..., 0]
        liked_rank = zipf_rank(rank, self.tastes.leaf_size(liked_leaf, lane), LEAF_SKEW)
        liked = self.tastes.leaf_item(liked_leaf, lane, liked_rank)
        new_here = lane_size(audience.new_items, lane)
        newest = first + LIST_LENGTH * (new_here - 1 - zipf_rank(rank, new_here, NEW_SKEW)) + lane
        is_new = (source >= POPULAR + TASTE) & (new_here > 0)
        is_liked = (source >= POPULAR) & (source < POPULAR + TASTE)
        return np.where(is_new, newest, np.where(is_liked, liked, popular))

    def propensity(self, audience: Audience, item: Ints) -> Floats:
        """The probability that a visit's list contains `item`; 0 for one that does not exist yet."""
        first = self.tastes.world.first_items
        is_first = item < first
        index = np.where(is_first, item, item - first)
        lane, rank = _lane_and_rank(index)
        new_here = lane_size(audience.new_items, lane)
        popular = zipf_probability(rank, lane_size(first, lane), POPULAR_SKEW)
        leaf = self.tastes.leaf(item)
        share = (audience.weights * (audience.leaves == leaf[..., None])).sum(axis=-1)
        liked = share * zipf_probability(rank // self.tastes.world.leaves, self.tastes.leaf_size(leaf, lane), LEAF_SKEW)
        newest = zipf_probability(new_here - 1 - rank, new_here, NEW_SKEW)
        of_first = np.where(new_here > 0, POPULAR, POPULAR + NEW) * popular + TASTE * liked
        return np.where(is_first, of_first, NEW * newest)

    def popularity(self, item: Ints) -> Floats:
        """The probability of `item` among the popular ones of its lane; 0 for new items, which only the source NEW
        shows."""
        lane, rank = _lane_and_rank(item)
        here = zipf_probability(rank, lane_size(self.tastes.world.first_items, lane), POPULAR_SKEW)
        return np.where(item < self.tastes.world.first_items, here, 0.0)


def audience_of(favourites: Ints, searched: Ints, new_items: Ints) -> Audience:
    """A visit's interest: all favourites by their share or, where `searched` ≥ 0, only the favourite at that index."""
    alone = np.arange(len(FAVOURITES)) == searched[..., None]
    weights = np.where(searched[..., None] >= 0, alone, np.asarray(FAVOURITES))
    return Audience(favourites, np.asarray(weights, dtype=np.float64), new_items)


def _lane_and_rank(index: Ints) -> tuple[Ints, Ints]:
    return np.asarray(index % LIST_LENGTH), np.asarray(index // LIST_LENGTH)
