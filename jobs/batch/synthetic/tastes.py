"""Preferences of users: latent factors of users and items, and the probability of a click that follows from them.

A user has three favourite leaves (narrowest categories). Vectors have length 1; user · item is the *affinity*.

    P(click) = examination(position) · sigmoid(BIAS + SLOPE · affinity + quality(item))
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jobs.batch.synthetic.draws import Floats, Ints, zipf_rank
from jobs.batch.synthetic.world import LIST_LENGTH, World, lane_size

FACTORS = 8
FAVOURITES = (0.5, 0.3, 0.2)
"""Shares of the favourite leaves in a user's preferences."""
BIAS, SLOPE = -1.5, 2.5
QUALITY_SPREAD = 0.5
CATEGORY_SKEW = 0.7
"""Exponent of how many users like a leaf."""
LEAF_SKEW = 0.9
"""Exponent of the popularity of items within a leaf."""
REPERTOIRE = 12
"""Number of items that a user buys regularly."""
REPERTOIRE_SKEW = 0.8
EXAMINATION = (1.0 + np.arange(LIST_LENGTH)) ** -0.7
"""Probability that a user examines a position (the position's propensity)."""


@dataclass(frozen=True)
class Tastes:
    """The latent preferences of a world."""

    world: World

    @cached_property
    def leaf_vectors(self) -> Floats:
        """(leaves, FACTORS)."""
        leaf = np.arange(self.world.leaves)[:, None]
        return _length_one(self.world.draws.normal("leaf/factor", leaf, np.arange(FACTORS)))

    def favourites(self, user: Ints) -> Ints:
        """(…, 3) leaves, the best first; the same leaf may be there twice."""
        index = np.arange(len(FAVOURITES))
        drawn = self.world.draws.uniform("user/favourite", user[..., None], index)
        return zipf_rank(drawn, self.world.leaves, CATEGORY_SKEW)

    def user_vectors(self, user: Ints) -> Floats:
        """(…, FACTORS)."""
        liked = self.leaf_vectors[self.favourites(user)] * np.asarray(FAVOURITES)[:, None]
        own = self.world.draws.normal("user/factor", user[..., None], np.arange(FACTORS))
        return _length_one(liked.sum(axis=-2) + 0.1 * own)

    def item_vectors(self, item: Ints) -> Floats:
        """(…, FACTORS)."""
        own = self.world.draws.normal("item/factor", item[..., None], np.arange(FACTORS))
        return _length_one(self.leaf_vectors[self.leaf(item)] + 0.2 * own)

    def quality(self, item: Ints) -> Floats:
        """Quality of an item for all users, in logits."""
        return QUALITY_SPREAD * self.world.draws.normal("item/quality", item)

    def price(self, item: Ints) -> Floats:
        """Price of one unit, two decimals."""
        return np.round(np.exp(1.2 + 0.8 * self.world.draws.normal("item/price", item)) + 0.09, 2)

    def leaf(self, item: Ints) -> Ints:
        """The narrowest category; an item's leaf and its lane are independent."""
        index = np.where(item < self.world.first_items, item, item - self.world.first_items)
        return np.asarray(index // LIST_LENGTH % self.world.leaves, dtype=np.int64)

    def affinity(self, user: Ints, item: Ints) -> Floats:
        """User · item in [−1, 1]; the shapes must broadcast."""
        return np.asarray((self.user_vectors(user) * self.item_vectors(item)).sum(axis=-1), dtype=np.float64)

    def attraction(self, affinity: Floats, item: Ints) -> Floats:
        """Probability of a click on an examined item."""
        return 1.0 / (1.0 + np.exp(-(BIAS + SLOPE * affinity + self.quality(item))))

    def leaf_size(self, leaf: Ints, lane: Ints) -> Ints:
        """Number of initial items that are in both."""
        return lane_size(lane_size(self.world.first_items, lane), leaf, self.world.leaves)

    def leaf_item(self, leaf: Ints, lane: Ints, rank: Ints) -> Ints:
        """The initial item at `rank` among those of the leaf and lane."""
        return (rank * self.world.leaves + leaf) * LIST_LENGTH + lane

    def repertoire_item(self, user: Ints, uniform: Floats) -> Ints:
        """One of the user's few regular items, the first ones most likely."""
        index, draws = zipf_rank(uniform, REPERTOIRE, REPERTOIRE_SKEW), self.world.draws
        lane = draws.below(LIST_LENGTH, "repertoire/lane", user, index)
        which = np.searchsorted(np.cumsum(FAVOURITES)[:-1], draws.uniform("repertoire/leaf", user, index), side="right")
        leaf = np.take_along_axis(self.favourites(user), which[..., None], axis=-1)[..., 0]
        rank = zipf_rank(draws.uniform("repertoire/rank", user, index), self.leaf_size(leaf, lane), LEAF_SKEW)
        return self.leaf_item(leaf, lane, rank)


def _length_one(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.sqrt((vectors * vectors).sum(axis=-1, keepdims=True)), dtype=np.float64)
