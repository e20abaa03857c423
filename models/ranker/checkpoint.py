"""Where an unfinished training of the ranker stands, so that one that was killed goes on instead of starting anew."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

import tensorflow as tf

from headrace.settings_groups import TrainingSettings
from models.command import replacing
from models.ranker.model import Ranker

_STANDING = "standing.json"


@dataclass
class Standing:
    """What is done."""

    steps: int = 0
    losses: list[float] = field(default_factory=list)
    """Of every step."""
    curves: dict[str, list[float]] = field(default_factory=dict)
    """What was measured after each whole epoch, by name."""


@dataclass(frozen=True)
class Checkpoint:
    """A folder that holds weights, optimiser and standing of one training; another training does not take it up."""

    folder: Path
    every_steps: int
    training: str
    """Hash of all that the training depends on."""

    @classmethod
    def of(cls, folder: Path, candidates: Path, training: TrainingSettings) -> Checkpoint:
        """Of the training on the file `candidates` with these settings."""
        with candidates.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256")
        content.update(training.model_dump_json().encode())
        return cls(folder, training.ranker_checkpoint_steps, content.hexdigest())

    def resume(self, model: Ranker) -> Standing:
        """Load what was saved into the compiled `model`; an empty standing if there is nothing of this training."""
        try:
            saved = json.loads((self.folder / _STANDING).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return Standing()
        if saved.pop("training") != self.training:
            return Standing()
        tf.train.Checkpoint(model=model, optimizer=model.optimizer).read(str(self.folder / "state"))
        return Standing(**saved)

    def save(self, model: Ranker, standing: Standing) -> None:
        """The old one is kept until the new one is whole."""
        with replacing(self.folder) as partial:
            tf.train.Checkpoint(model=model, optimizer=model.optimizer).write(str(partial / "state"))
            content = {"training": self.training, **asdict(standing)}
            (partial / _STANDING).write_text(json.dumps(content), encoding="utf-8")

    def remove(self) -> None:
        """The training is done."""
        shutil.rmtree(self.folder, ignore_errors=True)
