"""Distances between two distributions of one feature. Pure NumPy over values and their counts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_LEAST_SHARE = 1e-4
"""Share used for an empty class in the index, whose logarithm would be infinite."""
_CLASSES = 10


def population_stability_index(reference: Array, current: Array) -> float:
    """Sum of (c − r) · ln(c / r) over the shares of classes; both arrays hold counts of the same classes."""
    r = np.maximum(reference / reference.sum(), _LEAST_SHARE)
    c = np.maximum(current / current.sum(), _LEAST_SHARE)
    return float(np.sum((c - r) * np.log(c / r)))


def numeric_index(reference: Mapping[float, int], current: Mapping[float, int]) -> float:
    """The index over ten classes that are equally full in the reference; fewer where a value repeats."""
    values, counts = _sorted(reference)
    shares = np.cumsum(counts) / counts.sum()
    indices = np.searchsorted(shares, np.arange(1, _CLASSES) / _CLASSES - 1e-12)
    edges = np.unique(values[indices])  # a class holds (edge before, edge]
    edges = edges[edges < values[-1]] if len(edges) > 1 else edges
    return population_stability_index(_filled(reference, edges), _filled(current, edges))


def category_index(reference: Mapping[str, int], current: Mapping[str, int]) -> float:
    """The index with one class per category of either side."""
    names = sorted({*reference, *current})
    sides = (np.array([side.get(name, 0) for name in names], np.float64) for side in (reference, current))
    return population_stability_index(*sides)


def kolmogorov_smirnov(reference: Mapping[float, int], current: Mapping[float, int]) -> float:
    """Largest distance of the two cumulative distributions, 0 to 1."""
    points = np.array(sorted({*reference, *current}), np.float64)
    first, second = (_cumulative(side, points) for side in (reference, current))
    return float(np.abs(first - second).max())


def new_categories(reference: Mapping[str, int], current: Mapping[str, int]) -> tuple[float, list[str]]:
    """Share of the current values whose category the reference does not have, and these, most frequent first."""
    new = sorted((name for name in current if name not in reference), key=lambda name: (-current[name], name))
    return sum(current[name] for name in new) / max(1, sum(current.values())), new


def _sorted(side: Mapping[float, int]) -> tuple[Array, Array]:
    values = np.array(sorted(side), np.float64)
    return values, np.array([side[value] for value in sorted(side)], np.float64)


def _filled(side: Mapping[float, int], edges: Array) -> Array:
    values, counts = _sorted(side)
    classes = np.searchsorted(edges, values, side="left")
    return np.bincount(classes, weights=counts, minlength=len(edges) + 1).astype(np.float64)


def _cumulative(side: Mapping[float, int], points: Array) -> Array:
    values, counts = _sorted(side)
    shares = np.concatenate([[0.0], np.cumsum(counts)]) / counts.sum()
    return shares[np.searchsorted(values, points, side="right")]
