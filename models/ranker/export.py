"""Writes a ranker for TensorFlow users (SavedModel) and for serving (ONNX)."""

from __future__ import annotations

from pathlib import Path

from models.export.onnx_export import write_onnx, write_saved_model
from models.ranker.committee import Committee
from models.ranker.trees.onnx import add_trees


def export_ranker(model: Committee, saved_model: Path | None, onnx: Path) -> None:
    """Both give the same log odds; in ONNX the trees are a node of their own, which is many times faster."""
    if saved_model:
        write_saved_model(model.exported(), saved_model)
    write_ranker_onnx(model, onnx)


def write_ranker_onnx(model: Committee, onnx: Path) -> None:
    """The inputs that serving uses."""
    write_onnx(model.served(), onnx)
    if model.trees:
        add_trees(onnx, model.trees, model.served_trees_factor)
