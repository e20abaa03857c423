"""The int8 ranker, exported with the float one if both rank alike."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.export.canonical_onnx import make_canonical
from models.ranker.examples.examples import RankingExamples
from models.ranker.validation import K, validate

Floats = npt.NDArray[np.float32]
LEAST_OVERLAP = 0.95
"""Minimum share of the first 20 positions with the same items in both, on average over the validation users."""


@dataclass(frozen=True)
class Int8Report:
    """What int8 weights change in the lists of the validation users."""

    top_20_overlap: float
    """Mean share of the first 20 items that are also among the float ranker's first 20."""
    ndcg_all: float
    ndcg_new: float
    kept: bool
    """False where the lists differ too much: then the release has no int8 ranker."""


def write_int8(onnx: Path, int8: Path) -> None:
    """Matrices in int8, inputs of each product quantised at run time (dynamic): no calibration data is needed."""
    from onnxruntime.quantization import quantize_dynamic

    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)  # it recommends preprocessing that has no effect here
    try:
        quantize_dynamic(str(onnx), str(int8))
    finally:
        root.setLevel(before)
    make_canonical(int8)


def add_int8(
    onnx: Path, int8: Path, validation_users: RankingExamples, counts: npt.NDArray[np.int64], of_floats: Floats
) -> Int8Report:
    """Write `int8` beside `onnx`, whose validation scores are `of_floats`, and remove it if lists differ too much."""
    write_int8(onnx, int8)
    scores = onnx_scores(int8, validation_users)
    overlap = float(top_overlap(of_floats, scores, validation_users.present).mean())
    validation_score = validate(scores, validation_users, counts)
    kept = overlap >= LEAST_OVERLAP
    if not kept:
        int8.unlink()
    return Int8Report(overlap, validation_score.ndcg_all, validation_score.ndcg_new, kept)


def onnx_scores(model: Path, examples: RankingExamples) -> Floats:
    """[users, candidates] as served: one batch per user."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    scores = np.zeros(examples.present.shape, np.float32)
    for user, present in enumerate(examples.present):
        inputs = {"numeric": examples.numeric[user, present], "categorical": examples.categorical[user, present]}
        scores[user, present] = session.run(["score"], inputs)[0]
    return scores


def top_overlap(first: Floats, second: Floats, present: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """[users]: share of the first 20 positions (fewer in shorter lists) with the same items by both scores."""
    tops = [_in_first_positions(scores, present) for scores in (first, second)]
    shared: npt.NDArray[np.float64] = (tops[0] & tops[1]).sum(axis=1) / np.maximum(tops[0].sum(axis=1), 1)
    return shared


def _in_first_positions(scores: Floats, present: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    order = np.argsort(-np.where(present, scores, -np.inf), axis=1, kind="stable")[:, :K]
    chosen = np.zeros(scores.shape, bool)
    np.put_along_axis(chosen, order, True, axis=1)
    return chosen & present
