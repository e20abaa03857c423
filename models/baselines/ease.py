"""EASE, the linear model that is hard to beat (Steck 2019), and its two useful mixtures."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field, PositiveFloat, PositiveInt

from models.baselines.counting import Personal, PersonalConfig
from models.baselines.interactions import Floats, Interactions, Rows
from models.baselines.interface import Baseline
from models.baselines.ridge import inverse_of


class EaseConfig(BaseModel):
    ridge: PositiveFloat = 300.0
    """Larger: safer weights, less personal."""
    half_life_days: PositiveFloat | None = 182.0
    """Counts are halved every so many days; None: all count alike."""
    power: float = Field(default=0.5, ge=0)
    """Exponent of the counts: 1 leaves them unchanged, 0 makes them binary."""
    largest_side: PositiveInt = 10_000
    """Users or items (whichever are fewer) that are inverted: 16 bytes × its square (1.6 GB). Where both are more,
    only so many items, those with most users, are ranked; the others follow by popularity."""
    trend_exponent: float = Field(default=0.0, ge=0)
    """Scores are multiplied by this power of the recent trend; 0 leaves them as they are."""
    trend_days: PositiveFloat = 28.0
    """What is counted as recent."""


class Ease(Baseline):
    """Each item is predicted from all others by ridge regression in closed form: scores = X B, B = I − P / diag(P).

    P is the inverse of XᵀX + ridge. With fewer users than items the same P comes from the inverse of XXᵀ + ridge
    (Woodbury), which is exact and needs no item × item matrix.
    """

    name: ClassVar = "EASE"

    def __init__(self, config: EaseConfig | None = None) -> None:
        self.config = config or EaseConfig()

    def _learn(self, events: Interactions) -> None:
        counts = events.counts(self.config.half_life_days)
        counts.data **= np.float32(self.config.power)
        users, items = counts.shape
        self._columns = np.arange(items)
        if min(users, items) > self.config.largest_side:
            support = np.bincount(events.taken.indices, minlength=items)
            self._columns = np.sort(np.argsort(-support, kind="stable")[: self.config.largest_side])
        self._counts = counts[:, self._columns].tocsr()
        self._trend = _trend(events, self.config)[self._columns]
        if users <= len(self._columns):
            self._learn_from_users()
        else:
            self._learn_from_items()

    def scores(self, users: Rows) -> Floats:
        """See the interface."""
        ranked = self._ranked(users) * self._trend
        if len(self._columns) == self.events.shape[1]:
            return ranked.astype(np.float32)
        scores = np.full((len(users), self.events.shape[1]), -np.inf, np.float32)
        scores[:, self._columns] = ranked
        return scores

    def _learn_from_users(self) -> None:
        """P = (I − Xᵀ G X) / ridge with G = (X Xᵀ + ridge)⁻¹, of which only G and diag(P) are stored."""
        ridge = self.config.ridge
        self._of_users: npt.NDArray[np.float32] | None = (self._counts @ self._counts.T).toarray()
        gram = self._of_users.astype(np.float64)
        gram[np.diag_indices_from(gram)] += ridge
        self._inverse = inverse_of(gram)
        by_item, diagonal = self._counts.T.tocsr(), np.empty(len(self._columns))
        for start in range(0, len(diagonal), 2048):
            part = by_item[start : start + 2048]
            diagonal[start : start + 2048] = 1.0 - np.asarray(part.multiply(part @ self._inverse).sum(axis=1)).ravel()
        self._diagonal = (diagonal / ridge).astype(np.float32)

    def _learn_from_items(self) -> None:
        gram = (self._counts.T @ self._counts).toarray().astype(np.float64)
        gram[np.diag_indices_from(gram)] += self.config.ridge
        inverse = inverse_of(gram)
        weights = -inverse / np.diag(inverse)
        weights[np.diag_indices_from(weights)] = 0.0
        self._of_users, self._weights = None, weights.astype(np.float32)

    def _ranked(self, users: Rows) -> npt.NDArray[np.float32]:
        own = self._counts[users]
        if self._of_users is None:
            return own @ self._weights
        through = (self._of_users[users].astype(np.float64) @ self._inverse).astype(np.float32)
        projected = (own.toarray() - (self._counts.T @ through.T).T) / np.float32(self.config.ridge)
        return own.toarray() - projected / self._diagonal


class EaseTrend(Ease):
    """EASE times a power of the recent trend: rising items rank higher."""

    name: ClassVar = "EASE × trend"

    def __init__(self, config: EaseConfig | None = None) -> None:
        super().__init__(config or EaseConfig(trend_exponent=0.3, trend_days=14.0))


class PersonalEaseConfig(BaseModel):
    personal: PersonalConfig = Field(default_factory=PersonalConfig)
    ease: EaseConfig = Field(default_factory=EaseConfig)
    ease_weight: PositiveFloat = 0.3
    """Of EASE's score, added to the decayed count of the user's own items."""


class PersonalEase(Baseline):
    """Personal frequency and EASE together: repeats first, then what goes with them."""

    name: ClassVar = "personal + EASE"

    def __init__(self, config: PersonalEaseConfig | None = None) -> None:
        self.config = config or PersonalEaseConfig()

    def _learn(self, events: Interactions) -> None:
        self._personal = Personal(self.config.personal).fit(events)
        self._ease = Ease(self.config.ease).fit(events)

    def scores(self, users: Rows) -> Floats:
        """See the interface."""
        own, ease = self._personal.scores(users), self._ease.scores(users)
        ease *= np.float32(self.config.ease_weight)
        unknown = np.isneginf(ease) & (own > 0)
        ease[unknown] = 0.0
        return own + ease


def _trend(events: Interactions, config: EaseConfig) -> npt.NDArray[np.float32]:
    """[items]: recent users over what the item's whole time promised, to the power of the exponent."""
    if not config.trend_exponent:
        return np.ones(events.shape[1], np.float32)
    span = max(float(events.age_days.max()), config.trend_days)
    expected = events.users_within(span + 1.0) * config.trend_days / span
    ratio = (events.users_within(config.trend_days) + 1.0) / (expected + 1.0)
    return (ratio**config.trend_exponent).astype(np.float32)
