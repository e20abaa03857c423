"""Lets a training that was killed go on where it stopped: weights, optimiser and place in the data, now and then.

The place is a number of steps: the order of the examples and the ids that are left out follow from seed and step, so
that a training that was killed and resumed ends with the same weights as one that ran through.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tensorflow as tf

_STATE = "state.json"


@dataclass
class Place:
    """How far a phase has come."""

    losses: list[float] = field(default_factory=list)
    """Mean loss per example of each step done."""
    examples: list[int] = field(default_factory=list)
    """Examples of each step done."""
    seconds: float = 0.0

    @property
    def steps(self) -> int:
        """Steps done."""
        return len(self.losses)


class Checkpoints:
    """Those of one phase, in a folder. One of another training (data, settings, code) is not taken."""

    def __init__(self, folder: Path, training: Mapping[str, Any], every_seconds: float) -> None:
        """`training` says what is trained: anything that JSON can hold."""
        self.phase = folder.name
        self._folder = folder
        self._training = json.dumps(training, sort_keys=True, default=str)
        self._every = every_seconds
        self._last = time.monotonic()

    def restore(self, model: tf.keras.Model) -> Place:
        """Put the model where the newest checkpoint left it; the beginning if there is none of this training."""
        try:
            state = json.loads((self._folder / _STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return Place()
        if state["training"] != self._training:
            return Place()
        self._checkpoint(model).read(
            str(self._folder / state["name"])
        ).expect_partial()  # slots come with the first step
        return Place(**state["place"])

    def is_due(self) -> bool:
        """Whether the last one is old enough."""
        return time.monotonic() - self._last >= self._every

    def save(self, model: tf.keras.Model, place: Place) -> None:
        """Write one; the older goes when the new one is whole."""
        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"step-{place.steps}"
        self._checkpoint(model).write(str(self._folder / name))
        state = {"training": self._training, "name": name, "place": vars(place)}
        partial = self._folder / f".{_STATE}.partial"
        partial.write_text(json.dumps(state), encoding="utf-8")
        partial.replace(self._folder / _STATE)
        for path in self._folder.glob("step-*"):
            if not path.name.startswith(f"{name}."):
                path.unlink()
        self._last = time.monotonic()

    def _checkpoint(self, model: tf.keras.Model) -> tf.train.Checkpoint:
        return tf.train.Checkpoint(model=model, optimizer=model.optimizer)


def drop_checkpoints(folder: Path) -> None:
    """Remove all: the training is through."""
    shutil.rmtree(folder, ignore_errors=True)
