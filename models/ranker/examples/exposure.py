"""Position bias and propensity weights: used in training, never in serving."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from headrace.settings.jobs import TrainingSettings
from models.ranker.examples.examples import RankingExamples

POSITIONS = 50
"""Positions of a list with a bias of their own; all later ones share the last."""


def position_codes(positions: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """0 for candidates that were not shown, else the position from 1 to POSITIONS."""
    return np.minimum(positions, POSITIONS)


def inverse_propensities(
    taken: npt.NDArray[np.bool_], positions: npt.NDArray[np.int32], propensities: npt.NDArray[np.float32], most: float
) -> npt.NDArray[np.float32]:
    """Weight of every candidate: 1 over the chance of having been shown where one that was shown was taken, at most
    `most`; else 1 (Joachims et al. 2017; clipped as in Swaminathan and Joachims 2015)."""
    weighted = taken & (positions > 0)
    return np.where(weighted, np.minimum(1 / np.maximum(propensities, 1e-6), most), 1.0).astype(np.float32)


def position_codes_and_weights(
    examples: RankingExamples, training: TrainingSettings
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """[users, candidates] each: codes of the positions that training uses, and the weights by propensity."""
    positions = examples.positions if training.ranker_positions else np.zeros_like(examples.positions)
    most = training.ranker_most_propensity_weight
    weights = inverse_propensities(examples.taken > 0, examples.positions, examples.propensities, most)
    return position_codes(positions), weights
