"""Several rankers as one: each starts from other weights, and a candidate's score is the mean of theirs.

A ranker trained on a few thousand users depends on its starting weights, most of all for items that are new to a
user: there the mean of two is better than either. Boosted trees, if there are any, are blended with that mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs

from models.export.onnx_export import Exported
from models.ranker.calibration import Platt
from models.ranker.networks.architectures import RANKERS
from models.ranker.networks.losses import RankingLoss
from models.ranker.networks.model import SIGNATURE, RankerInputs, Tensor
from models.ranker.trees.boosting import Trees

_SEEDS_APART = 1000
"""Members take a seed for each of their layers."""


class Committee(tfrs.Model):
    """Members of one architecture, trained on the same batches and each by its own loss."""

    def __init__(self, architecture: str, members: int, inputs: RankerInputs, loss: RankingLoss, seed: int) -> None:
        super().__init__()
        make = RANKERS[architecture]
        self.members = [make(inputs, loss, seed + _SEEDS_APART * number) for number in range(members)]
        self.platt = Platt()
        self.trees: Trees | None = None
        self.trees_share = 0.0
        """What the trees count for in the score, of 1."""
        self.score = tf.function(lambda *inputs: self(inputs), input_signature=SIGNATURE)
        self.outcomes = tf.function(self._outcomes, input_signature=SIGNATURE)

    def call(self, inputs: tuple[Tensor, Tensor]) -> Tensor:
        """[n] scores of (numeric [n, numbers], categorical [n, codes])."""
        return self._members_score(inputs) + (self.trees_share * self.trees.score(inputs[0]) if self.trees else 0.0)

    def join(self, trees: Trees, share: float) -> None:
        """Blend the trees into the score from now on."""
        self.trees, self.trees_share = trees, share
        self.score = tf.function(lambda *inputs: self(inputs), input_signature=SIGNATURE)

    def _members_score(self, inputs: tuple[Tensor, Tensor], one_user: bool = False) -> Tensor:
        mean = tf.add_n([member(inputs, one_user=one_user) for member in self.members]) / len(self.members)
        return (1 - self.trees_share) * mean

    def _outcomes(self, *inputs: Tensor) -> Tensor:
        return tf.add_n([member.outcomes(*inputs) for member in self.members]) / len(self.members)

    def compute_loss(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor:
        """Mean of the members' losses of a batch of users."""
        return tf.add_n([member.compute_loss(inputs, training) for member in self.members]) / len(self.members)

    def exported(self) -> Exported:
        """`score` [n] of `numeric` and `categorical`, the log odds of being taken; rows may be of any users."""
        return self._exported(self)

    def served(self) -> Exported:
        """The same of one user's candidates, at least one, without the trees: their sum, times
        `served_trees_factor`, is missing."""
        return self._exported(lambda inputs: self._members_score(inputs, one_user=True))

    def _exported(self, score: Callable[[tuple[Tensor, ...]], Tensor]) -> Exported:
        def log_odds(*inputs: Tensor) -> Any:
            return self.platt.slope * score(inputs) + self.platt.offset

        return Exported(log_odds, list(SIGNATURE), "score", self.variables)

    @property
    def served_trees_factor(self) -> float:
        """What the trees' sum is multiplied by in what is served."""
        return self.platt.slope * self.trees_share
