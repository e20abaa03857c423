"""Checkpoints of a training, so that it can resume: weights, optimiser and position in the data, at intervals."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

_STATE = "state.json"


class Checkpoints:
    """Those of one training, in a folder. Checkpoints of another training (data, settings, code) are ignored."""

    def __init__(self, folder: Path, training: Mapping[str, Any], every_seconds: float) -> None:
        """`training` identifies the training: any JSON value."""
        self.folder = folder
        self._training = json.dumps(training, sort_keys=True, default=str)
        self._every = every_seconds
        self._last = time.monotonic()

    def restore(self, model: tf.keras.Model) -> dict[str, Any]:
        """Restore the compiled model from the newest checkpoint; returns what was saved with it, or an empty dict."""
        try:
            saved = json.loads((self.folder / _STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if saved["training"] != self._training:
            return {}
        # The optimiser's slots are created by the first step.
        _checkpoint(model).read(str(self.folder / saved["name"])).expect_partial()
        return dict(saved["state"])

    def is_due(self) -> bool:
        """Whether the last one is old enough."""
        return time.monotonic() - self._last >= self._every

    def save(self, model: tf.keras.Model, step: int, state: Mapping[str, Any]) -> None:
        """Write one, of after `step` steps; the older goes when the new one is whole."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"step-{step}"
        _checkpoint(model).write(str(self.folder / name))
        content = {"training": self._training, "name": name, "state": dict(state)}
        partial = self.folder / f".{_STATE}.partial"
        partial.write_text(json.dumps(content), encoding="utf-8")
        partial.replace(self.folder / _STATE)
        for path in self.folder.glob("step-*"):
            if not path.name.startswith(f"{name}."):
                path.unlink()
        self._last = time.monotonic()

    def drop(self) -> None:
        """Remove them: the training is through."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _checkpoint(model: tf.keras.Model) -> tf.train.Checkpoint:
    return tf.train.Checkpoint(model=model, optimizer=model.optimizer)
