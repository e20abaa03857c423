"""One model's way through its training: up to the holdout, measured there, then on over it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from rich.progress import Progress

from headrace.settings.jobs import TrainingSettings
from models.training.checkpoints import Checkpoints
from models.training.workers import Worker
from models.two_tower.architecture import build_model, example_cutter
from models.two_tower.early_stopping import EVALUATIONS_PER_EPOCH, EarlyStopping
from models.two_tower.examples.inputs import RetrievalInputs
from models.two_tower.network.item_columns import item_columns
from models.two_tower.prior import RetrievalReport, choose_weight
from models.two_tower.training import Phase, PhaseReport, train_phase
from models.two_tower.vectors import UserFunction, item_vectors, log_popularity, user_function

Floats = npt.NDArray[np.float32]
OnEvaluation = Callable[[float, int, int], None]


class TrainingPhases:
    """A model and its training data. With several workers, create it before any other use of TensorFlow."""

    def __init__(
        self,
        inputs: RetrievalInputs,
        training: TrainingSettings,
        worker: Worker,
        progress: Progress,
        checkpoints: Callable[[str], Checkpoints] | None = None,
    ) -> None:
        """`checkpoints` returns those of a phase by its name, so that a training that was killed resumes."""
        self._checkpoints = checkpoints if worker.workers == 1 else None
        self._inputs, self._training, self._worker, self._progress = inputs, training, worker, progress
        self._measured_tower: UserFunction | None = None
        length = inputs.encoder.history_length
        self._cutter = example_cutter(training, length, inputs.vocabularies["event_types"])
        sizes = tuple(len(inputs.vocabularies[key]) + 1 for key in inputs.encoder.profile_keys)
        event_types = len(inputs.vocabularies["event_types"])
        columns = item_columns(inputs.items_before, inputs.vocabularies, training)
        with worker.strategy().scope():
            events = inputs.seen.events[inputs.before]
            self._model = build_model(columns, event_types, sizes, length, events, training)

    def up_to_the_holdout(self, on_evaluation: OnEvaluation | None = None) -> PhaseReport:
        """Train on the events before the holdout.

        `training.retrieval_patience` ends it when the holdout's recall grows no more; `on_evaluation` gets that recall,
        the number of evaluations so far and how many are planned, four an epoch, and may raise to stop the training.
        """
        patience, planned = self._training.retrieval_patience, EVALUATIONS_PER_EPOCH * self._training.retrieval_epochs

        def evaluated(recall: float, number: int) -> None:
            if on_evaluation:
                on_evaluation(recall, number, planned)

        early_stopping = (
            EarlyStopping(lambda: self.measure().recall_new, patience, evaluated) if patience or on_evaluation else None
        )
        return self._learn("holdout", self._inputs.start, self._inputs.before, self._training, early_stopping)

    def over_the_holdout(self, epochs: int) -> PhaseReport:
        """Continue on the holdout itself, with the items' features and counts of the last day; where events have no
        order, once more on all events, because the holdout's are then not newer than the rest."""
        inputs = self._inputs
        self._model.use_counts(inputs.seen.events[inputs.after])
        self._model.item_tower.use(item_columns(inputs.items, inputs.vocabularies, self._training))
        alike = self._training.retrieval_reorders
        training = self._training.model_copy(update={"retrieval_epochs": 1 if alike else epochs})
        return self._learn("final", inputs.start if alike else inputs.before, inputs.after, training, None)

    def vectors(self, *, holdout: bool) -> Floats:
        """[items + 1, embedding_size - 1] as the model is now; ids count if they had an event before the moment."""
        inputs = self._inputs
        return item_vectors(self._model, inputs.seen.events[inputs.before if holdout else inputs.after])

    def user_function(self, vectors: Floats) -> UserFunction:
        """The user tower over `vectors`."""
        encoder = self._inputs.encoder
        return user_function(self._model, vectors, encoder.history_length, len(encoder.profile_keys))

    def measure(self, vectors: Floats | None = None) -> RetrievalReport:
        """How well the holdout's users are served by the model as it is now; its `vectors` may be known already."""
        vectors, items = self.vectors(holdout=True) if vectors is None else vectors, self._inputs.items_before
        users = self._inputs.holdout_users
        if self._measured_tower:
            self._measured_tower.use(vectors)
        else:
            self._measured_tower = self.user_function(vectors)
        affinity = self._measured_tower.vectors(users.inputs)[:, :-1]
        recent = np.log1p(items.column("popularity").to_numpy())
        return choose_weight(affinity, vectors[1:], log_popularity(items), recent, users)

    def _learn(
        self, name: str, begin: int, end: int, training: TrainingSettings, early_stopping: EarlyStopping | None
    ) -> PhaseReport:
        phase = Phase(name, begin, end, self._inputs.seen.examples_between(begin, end))
        parts = self._inputs.parts
        if early_stopping:
            early_stopping.every = max(1, phase.examples // (EVALUATIONS_PER_EPOCH * training.retrieval_batch_size))
        callbacks = [early_stopping] if early_stopping else []
        saved = (
            self._checkpoints(name) if self._checkpoints and not early_stopping else None
        )  # it has weights of its own
        return train_phase(
            self._model, self._cutter, parts, phase, training, self._worker, self._progress, callbacks, saved
        )
