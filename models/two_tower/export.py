"""Writes the user tower for TensorFlow users (SavedModel) and for serving and streaming (ONNX)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import tensorflow as tf

OPSET = 17


def export_function(function: Any, signature: list[tf.TensorSpec], output: str, saved_model: Path, onnx: Path) -> None:
    """Write `function` (a tf.function of `signature`) to both formats; its result is named `output`."""
    import tf2onnx

    module = tf.Module()
    module.serve = tf.function(lambda *arguments: {output: function(*arguments)}, input_signature=signature)
    concrete = module.serve.get_concrete_function()
    tf.saved_model.save(module, str(saved_model), signatures={"serving_default": concrete})
    # It holds a random number only: without it the same training gives the same files.
    (saved_model / "fingerprint.pb").unlink(missing_ok=True)
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    tf2onnx.convert.from_function(
        module.serve, input_signature=signature, opset=OPSET, output_path=str(onnx), large_model=False
    )
