"""The comparison as pictures: bars with intervals, the calibration curve, the popularity-bias curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.evaluation.comparison import OURS, Comparison
from models.metrics.beyond_accuracy import CURVE_SHARES

QUALITY, CALIBRATION, POPULARITY_BIAS = "quality.png", "calibration.png", "popularity_bias.png"
CURVES = "curves.png"
_OURS_COLOUR, _OTHER_COLOUR = "#1f6f8b", "#b0b7bd"


def draw(folder: Path, comparisons: Sequence[Comparison], probabilities: Mapping[str, Any] | None) -> list[Path]:
    """Write the plots and return their paths; no calibration curve where a release has no `probabilities`."""
    drawn = [_quality(folder / QUALITY, comparisons), _popularity_bias(folder / POPULARITY_BIAS, comparisons)]
    if probabilities:
        drawn.append(_calibration(folder / CALIBRATION, probabilities))
    return drawn


def draw_curves(folder: Path, curves: Mapping[str, Sequence[float]]) -> Path:
    """One panel a curve of training, by its name."""
    figure, panels = _figure(max(1, len(curves)), 3.0)
    for panel, (name, values) in zip(panels, curves.items(), strict=False):
        panel.plot(np.arange(1, len(values) + 1), values, color=_OURS_COLOUR)
        panel.set(title=name, xlabel="step")
    return _save(figure, folder / CURVES)


def _quality(path: Path, comparisons: Sequence[Comparison]) -> Path:
    """nDCG@20 of each model, one panel a task."""
    models = max(len(comparison.scores) for comparison in comparisons)
    figure, panels = _figure(len(comparisons), 1.2 + 0.3 * models)
    for panel, comparison in zip(panels, comparisons, strict=True):
        names = sorted(comparison.scores, key=lambda name: comparison.scores[name].ndcg_at_20)
        means = np.array([comparison.scores[name].ndcg_at_20 for name in names])
        bounds = np.array([comparison.scores[name].ndcg_at_20_interval for name in names]).T
        colours = [_OURS_COLOUR if name == OURS else _OTHER_COLOUR for name in names]
        panel.barh(names, means, xerr=np.abs(bounds - means), color=colours, capsize=2)
        panel.set_title(f"task {comparison.task}: nDCG@20, 95 % intervals")
    return _save(figure, path)


def _popularity_bias(path: Path, comparisons: Sequence[Comparison]) -> Path:
    """Share of all positions that the most popular items have."""
    figure, panels = _figure(len(comparisons), 4.0)
    for panel, comparison in zip(panels, comparisons, strict=True):
        for name, score in comparison.scores.items():
            panel.plot(CURVE_SHARES, score.popularity_curve, label=name, linewidth=2.5 if name == OURS else 1.2)
        panel.plot(CURVE_SHARES, CURVE_SHARES, color="black", linewidth=0.5, label="all items alike")
        panel.set(xscale="log", xlabel="share of the catalogue, most popular first", ylabel="share of all positions")
        panel.set_title(f"task {comparison.task}")
        panel.legend(fontsize=7)
    return _save(figure, path)


def _calibration(path: Path, probabilities: Mapping[str, Any]) -> Path:
    figure, (panel,) = _figure(1, 4.0)
    predicted, happened = probabilities["predicted"], probabilities["happened"]
    panel.plot(predicted, happened, marker="o", color=_OURS_COLOUR)
    end = max(*predicted, *happened)
    panel.plot([0, end], [0, end], color="black", linewidth=0.5)
    panel.set(xlabel="predicted", ylabel="happened")
    panel.set_title(f"ranker, calibration error {probabilities['calibration_error']:.4f}")
    return _save(figure, path)


def _figure(panels: int, height: float) -> tuple[Any, Sequence[Any]]:
    from matplotlib.figure import Figure  # a second to import, and only evaluation draws

    figure = Figure(figsize=(5.5 * panels, height), layout="constrained")
    return figure, figure.subplots(1, panels, squeeze=False)[0]


def _save(figure: Any, path: Path) -> Path:
    figure.savefig(path, dpi=100)
    return path
