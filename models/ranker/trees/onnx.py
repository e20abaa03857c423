"""Boosted trees inside an ONNX ranker: one `TreeEnsembleRegressor`, which ONNX Runtime walks in compiled code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from models.export.canonical_onnx import make_canonical
from models.ranker.trees.boosting import Trees

_DOMAIN, _VERSION = "ai.onnx.ml", 3


def add_trees(ranker: Path, trees: Trees, factor: float) -> None:
    """Add `factor` times the trees' sum to `score` [n] of the graph in `ranker`, from its input `numeric`."""
    model = onnx.load(str(ranker))
    graph = model.graph
    for node in graph.node:
        node.output[:] = ["members" if name == "score" else name for name in node.output]
        node.input[:] = ["members" if name == "score" else name for name in node.input]
    graph.initializer.append(helper.make_tensor("flat", onnx.TensorProto.INT64, [1], [-1]))
    graph.node.extend(
        [
            helper.make_node(
                "TreeEnsembleRegressor", ["numeric"], ["column"], domain=_DOMAIN, **_attributes(trees, factor)
            ),
            helper.make_node("Reshape", ["column", "flat"], ["trees"]),
            helper.make_node("Add", ["members", "trees"], ["score"]),
        ]
    )
    if all(each.domain != _DOMAIN for each in model.opset_import):
        model.opset_import.append(helper.make_opsetid(_DOMAIN, _VERSION))
    onnx.save(model, str(ranker))
    make_canonical(ranker)


def _attributes(trees: Trees, factor: float) -> dict[str, object]:
    nodes = len(trees.features)
    own = np.arange(nodes)
    tree = np.searchsorted(trees.roots, own, side="right") - 1
    first = trees.roots[tree]
    is_leaf = trees.left == own
    leaves = np.flatnonzero(is_leaf)
    return {
        "n_targets": 1,
        "nodes_treeids": tree.tolist(),
        "nodes_nodeids": (own - first).tolist(),
        "nodes_featureids": trees.features.tolist(),
        "nodes_values": trees.thresholds.tolist(),
        "nodes_modes": np.where(is_leaf, "LEAF", "BRANCH_LT").tolist(),
        "nodes_truenodeids": np.where(is_leaf, 0, trees.left - first).tolist(),
        "nodes_falsenodeids": np.where(is_leaf, 0, trees.right - first).tolist(),
        "target_treeids": tree[leaves].tolist(),
        "target_nodeids": (leaves - first[leaves]).tolist(),
        "target_ids": [0] * len(leaves),
        "target_weights": (factor * trees.values[leaves]).tolist(),
    }
