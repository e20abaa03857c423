"""Writes a trained function for TensorFlow users (SavedModel) and for serving and streaming (ONNX)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from models.export.canonical_onnx import make_canonical
from models.training.command import native_messages_hidden

OPSET = 17


@dataclass(frozen=True)
class Exported:
    """A function of a trained model, ready to be written."""

    call: Callable[..., Any]
    """A function of tensors as in `signature`."""
    signature: list[tf.TensorSpec]
    output: str
    """Name of its result."""
    variables: list[Any]
    """The trained weights that it reads."""


def export_function(function: Exported, saved_model: Path | None, onnx: Path) -> None:
    """Write the function to both formats, or to the second only."""
    if saved_model:
        write_saved_model(function, saved_model)
    write_onnx(function, onnx)


def write_saved_model(function: Exported, saved_model: Path) -> None:
    """Write the function for TensorFlow users."""
    module = _module(function)
    concrete = module.serve.get_concrete_function()
    tf.saved_model.save(module, str(saved_model), signatures={"serving_default": concrete})
    # It contains only a random number: without it the same training writes the same files.
    (saved_model / "fingerprint.pb").unlink(missing_ok=True)


def write_onnx(function: Exported, onnx: Path) -> None:
    """Write the function for serving and streaming."""
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    with native_messages_hidden():
        tf2onnx.convert.from_function(
            _module(function).serve, input_signature=function.signature, opset=OPSET, output_path=str(onnx)
        )
    make_canonical(onnx)


def _module(function: Exported) -> Any:
    module = tf.Module()
    module.trained = function.variables
    module.serve = tf.function(
        lambda *arguments: {function.output: function.call(*arguments)}, input_signature=function.signature
    )
    return module
