"""Boosted trees (XGBoost) over the numbers of the candidates: what the neural members of a ranker are blended with.

Trees find thresholds and their combinations (due again, on promotion, the third time) in a few thousand users, where a
network has learned little more than slopes. They are trained pointwise, by log loss.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import xgboost
from rich.progress import Progress, TaskID

from headrace.features.ranking import NUMERIC
from headrace.settings.jobs import TrainingSettings
from models.ranker.examples.examples import RankingExamples
from models.ranker.examples.exposure import position_codes_and_weights

DEPTH = 6
_LEAST_WEIGHT = 5.0
"""Curvature of the loss that a leaf must hold."""
_SHRINKAGE = 5.0
_FEATURES_A_TREE = 0.6
_ROWS_A_TREE = 0.8
_OWN = NUMERIC.index("own_count")
_POSITION = len(NUMERIC)
_REFUSED = 500_000
"""Maximum number of candidates not taken, drawn at random, in a forest's training data, each weighted for all that it
stands for: as good on the demo's validation users, in a third of the time."""
_FAR = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Trees:
    """Nodes of all trees, one after the other; a leaf has itself as both children."""

    roots: npt.NDArray[np.int32]
    """[trees]: number of each tree's first node."""
    features: npt.NDArray[np.int32]
    """[nodes]: column of `NUMERIC`; 0 in leaves."""
    thresholds: npt.NDArray[np.float32]
    """[nodes]: smaller numbers go left."""
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    """[nodes]: numbers of the children."""
    values: npt.NDArray[np.float32]
    """[nodes]: what a leaf adds to the log odds; 0 in other nodes."""

    def score(self, numeric: Any) -> Any:
        """[n] log odds, up to a constant, of numeric [n, len(NUMERIC)]: the same as `trees_onnx` in TensorFlow."""
        node = tf.zeros([tf.shape(numeric)[0], 1], tf.int32) + self.roots
        for _ in range(DEPTH):
            is_less = tf.gather(numeric, tf.gather(self.features, node), batch_dims=1) < tf.gather(
                self.thresholds, node
            )
            node = tf.where(is_less, tf.gather(self.left, node), tf.gather(self.right, node))
        return tf.reduce_sum(tf.gather(self.values, node), axis=1)


TreesToCome: TypeAlias = Callable[[], Trees | None]
"""Waits for trees that grow beside other work; None where there are to be none."""


def fit_trees(examples: RankingExamples, training: TrainingSettings, progress: Progress) -> Trees:
    """The mean of `training.ranker_forests` times `training.ranker_trees` trees over the candidates of `examples`, the
    same ones for the same seed."""
    lists = _Lists.of(examples, training)
    task = progress.add_task("trees", total=training.ranker_forests * training.ranker_trees)
    forests = [
        _fit_forest(lists, training, training.seed + number, _Advance(progress, task))
        for number in range(training.ranker_forests)
    ]
    return _nodes([tree for forest in forests for tree in _trees_of(forest)], len(forests))


def trees_beside(examples: RankingExamples, training: TrainingSettings, progress: Progress) -> TreesToCome:
    """Begin `fit_trees` in a thread and go on: XGBoost works outside of Python, and other work goes on beside it."""
    if not training.ranker_trees:
        return lambda: None
    threads = ThreadPoolExecutor(1)
    trees = threads.submit(fit_trees, examples, training, progress)
    threads.shutdown(wait=False)
    return trees.result


@dataclass(frozen=True)
class _Lists:
    """All candidates that are there, one below the other."""

    numeric: npt.NDArray[np.float32]
    """[all, len(NUMERIC)]: of these and of absent ones, in the memory of the examples."""
    rows: npt.NDArray[np.int64]
    """[candidates]: rows of `numeric`."""
    positions: npt.NDArray[np.int32]
    taken: npt.NDArray[np.bool_]
    weights: npt.NDArray[np.float64]

    @classmethod
    def of(cls, examples: RankingExamples, training: TrainingSettings) -> _Lists:
        here = examples.present
        positions, weights = position_codes_and_weights(examples, training)
        of_new = np.where(examples.numeric[..., _OWN] <= 0, training.ranker_trees_new_weight, 1)
        numeric = examples.numeric.reshape(-1, _POSITION)
        return cls(numeric, np.flatnonzero(here), positions[here], examples.taken[here] > 0, (weights * of_new)[here])

    def numbers(self, kept: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
        """[kept candidates, numbers and the position]."""
        result = np.empty((int(kept.sum()), _POSITION + 1), np.float32)
        result[:, :_POSITION] = self.numeric[self.rows[kept]]
        result[:, _POSITION] = self.positions[kept]
        return result


def _fit_forest(lists: _Lists, training: TrainingSettings, seed: int, advance: _Advance) -> xgboost.Booster:
    refused = len(lists.taken) - int(lists.taken.sum())
    share = min(1.0, _REFUSED / max(1, refused))
    kept = lists.taken | (np.random.default_rng(seed).random(len(lists.taken)) < share)
    taken = lists.taken[kept]
    weights = np.where(taken, lists.weights[kept], lists.weights[kept] / share)
    parameters = {
        "objective": "binary:logistic",
        "base_score": float(np.average(taken, weights=weights)),
        "tree_method": "hist",
        "max_depth": DEPTH,
        "eta": training.ranker_trees_rate,
        "min_child_weight": _LEAST_WEIGHT,
        "reg_lambda": _SHRINKAGE,
        "colsample_bytree": _FEATURES_A_TREE,
        "subsample": _ROWS_A_TREE,
        "seed": seed,
    }
    rows = xgboost.QuantileDMatrix(lists.numbers(kept), taken, weight=weights)
    return xgboost.train(parameters, rows, training.ranker_trees, callbacks=[advance])


class _Advance(xgboost.callback.TrainingCallback):
    """Moves the bar on."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        super().__init__()
        self._progress, self._task = progress, task

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002
        """Continue."""
        self._progress.advance(self._task)
        return False


def _trees_of(booster: xgboost.Booster) -> list[dict[str, Any]]:
    """In the library's documented JSON form of a model."""
    trees: list[dict[str, Any]] = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]
    return trees


def _nodes(trees: list[dict[str, Any]], forests: int) -> Trees:
    """The mean of so many forests. Splits on the position in a list take the branch of an unknown one."""
    sizes = [len(tree["left_children"]) for tree in trees]
    roots = np.cumsum([0, *sizes[:-1]]).astype(np.int32)

    def joined(name: str, kind: type) -> npt.NDArray[Any]:
        return np.concatenate([np.asarray(tree[name], kind) for tree in trees])

    own, first = np.arange(sum(sizes), dtype=np.int32), np.repeat(roots, sizes)
    is_leaf = joined("left_children", np.int32) < 0
    left, right = (
        np.where(is_leaf, own, first + joined(f"{side}_children", np.int32)).astype(np.int32)
        for side in ("left", "right")
    )
    conditions, features = joined("split_conditions", np.float32), joined("split_indices", np.int32)
    is_position = ~is_leaf & (features == _POSITION)
    thresholds = np.where(is_position, np.where(conditions > 0, _FAR, -_FAR), np.where(is_leaf, 0, conditions))
    return Trees(
        roots=roots,
        features=np.where(is_leaf | is_position, 0, features).astype(np.int32),
        thresholds=thresholds.astype(np.float32),
        left=left,
        right=right,
        values=np.where(is_leaf, conditions / forests, 0).astype(np.float32),
    )
