"""One training of the demo's two-tower until it finds enough of what is new to the households, and the time it took.

    python -m benchmarks.two_tower.demo ours|peer [--home var] [--target 0.21] [--look-every 64] [--limit 300]

Run by `benchmarks.two_tower`, each in a process of its own; the last line is one JSON object. Both learn from the
training window up to week 48 and are evaluated on all households of weeks 49 to 53 on task *new*, recall@500, with the
better of a few weights of the popularity prior. The peer has the same towers, batches of as many examples, optimiser
and rate; it is a Keras model as one would write it: an example is a history and an item, `tfrs.tasks.Retrieval` the
loss. The time of evaluation and of reading the lake does not count.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs
from rich.progress import Progress

from benchmarks.report import peak_mib
from headrace.features.user_tower import TowerInputs
from headrace.settings import Settings, load_settings
from models.baselines.interface import best_of_each_row
from models.evaluation.ground_truth import GroundTruth, read_ground_truth
from models.metrics.ranking import score_lists
from models.training.command import progress_bars
from models.training.workers import Worker
from models.two_tower.architecture import build_model, example_cutter
from models.two_tower.examples.inputs import RetrievalInputs, read_inputs
from models.two_tower.examples.sequences import Batch, ExampleCutter, Sequences, find_occasions
from models.two_tower.network.item_columns import item_columns
from models.two_tower.network.model import ItemColumns
from models.two_tower.network.pooling import PoolingTower
from models.two_tower.training import Phase, train_phase
from models.two_tower.vectors import item_vectors, user_function
from serving.offline import lake as serving_lake

PRIOR_WEIGHTS = (1.0, 1.4)
DEPTH = 500
_AT_ONCE = 256


@dataclass(frozen=True)
class ValidationUsers:
    """The households of the test weeks, and how much of what is new to them a model finds."""

    ground_truth: GroundTruth
    places: np.ndarray
    """[items of the ground truth's catalogue]: their rows in the item table."""
    log_popularity: np.ndarray
    inputs: TowerInputs
    """Of the users of task new, as known before."""

    @classmethod
    def of(cls, settings: Settings, day: date, inputs: RetrievalInputs) -> ValidationUsers:
        """Reads the demo's test weeks. Raises BadInputError where they are missing."""
        test = settings.home_folder / "imports" / "complete-journey-49-53" / "events.parquet"
        ground_truth = read_ground_truth(inputs.lake, day, test)
        row_of = {item: row for row, item in enumerate(inputs.items.column("item_id").to_pylist())}
        places = np.array([row_of[item] for item in ground_truth.catalogue.item_ids])
        rows = {user.user_id: user for user in serving_lake.users(settings, day)}
        known = [rows.get(ground_truth.user_ids[user]) for user in ground_truth.tasks["new"].users]
        encoded = inputs.encoder.encode(
            [user.history if user else [] for user in known], [user.profile if user else {} for user in known]
        )
        popularity = np.log1p(inputs.items.column("trend_popularity").to_numpy()[places])
        return cls(ground_truth, places, popularity, encoded)

    def recall(self, vectors: np.ndarray, users: np.ndarray) -> float:
        """Recall@500 with the better prior, of item `vectors` [items + 1, n] and `users` [users, n]."""
        task = self.ground_truth.tasks["new"]
        items = vectors[1:][self.places].T
        lists: dict[float, list[np.ndarray]] = {weight: [] for weight in PRIOR_WEIGHTS}
        for start in range(0, len(users), _AT_ONCE):
            affinity = users[start : start + _AT_ONCE] @ items
            for row, user in enumerate(task.users[start : start + _AT_ONCE]):
                affinity[row, self.ground_truth.own.of(int(user))] = -np.inf
            for weight, parts in lists.items():
                parts.append(best_of_each_row(affinity + weight * self.log_popularity, DEPTH))
        return max(
            float(score_lists(np.concatenate(parts), task.targets, DEPTH).recall.mean()) for parts in lists.values()
        )


class UntilGood(tf.keras.callbacks.Callback):
    """Measures now and then, with the clock stopped; ends the training when it is good enough or takes too long."""

    def __init__(self, measure: Callable[[tf.keras.Model], float], every: int, target: float, limit: float) -> None:
        super().__init__()
        self.looks: list[tuple[float, float]] = []
        """(seconds of training, recall)."""
        self._measure, self._every, self._target, self._limit = measure, every, target, limit
        self._spent, self._since, self._steps = 0.0, time.perf_counter(), 0

    def on_train_batch_end(self, _batch: int, _logs: dict[str, float] | None = None) -> None:
        """Evaluate at intervals."""
        self._steps += 1
        if self._steps % self._every:
            return
        self._spent += time.perf_counter() - self._since
        recall = self._measure(self.model)
        self.looks.append((round(self._spent, 2), recall))
        print(f"{self._steps} steps, {self._spent:.1f} s: recall@{DEPTH} {recall:.4f}", flush=True)
        if recall >= self._target or self._spent > self._limit:
            self.model.stop_training = True
        self._since = time.perf_counter()


def ours(inputs: RetrievalInputs, settings: Settings, clock: Callable[[], UntilGood], progress: Progress) -> UntilGood:
    """The product's trainer."""
    training = settings.training.model_copy(update={"retrieval_epochs": 20})
    sizes = tuple(len(inputs.vocabularies[key]) + 1 for key in inputs.encoder.profile_keys)
    columns = item_columns(inputs.items, inputs.vocabularies, training)
    event_types = len(inputs.vocabularies["event_types"])
    model = build_model(
        columns, event_types, sizes, inputs.encoder.history_length, inputs.seen.events[inputs.after], training
    )
    phase = Phase("demo", inputs.start, inputs.after, sum(inputs.seen.examples.values()))
    early_stopping = clock()
    train_phase(
        model,
        example_cutter(settings.training, inputs.encoder.history_length),
        inputs.parts,
        phase,
        training,
        Worker(),
        progress,
        [early_stopping],
    )
    return early_stopping


def peer(inputs: RetrievalInputs, settings: Settings, clock: Callable[[], UntilGood], _progress: Progress) -> UntilGood:
    """Keras' `fit`."""
    training = settings.training
    tf.keras.utils.set_random_seed(training.seed)
    sizes = tuple(len(inputs.vocabularies[key]) + 1 for key in inputs.encoder.profile_keys)
    columns = item_columns(inputs.items, inputs.vocabularies, training)
    dimensions = training.embedding_size - 1
    model = Plain(
        PlainItemTower(columns, dimensions, training.id_dropout),
        PoolingTower(dimensions, len(inputs.vocabularies["event_types"]), sizes, training.seed),
    )
    model.compile(optimizer=tf.keras.optimizers.Adagrad(training.retrieval_learning_rate))
    batches = _batches(
        inputs,
        example_cutter(settings.training, inputs.encoder.history_length),
        training.retrieval_batch_size,
        training.seed,
    )
    first = next(batches)
    signature = {name: tf.TensorSpec((None, *array.shape[1:]), array.dtype) for name, array in first.items()}
    data = tf.data.Dataset.from_generator(lambda: batches, output_signature=signature).prefetch(4)
    early_stopping = clock()
    model.fit(data, verbose=0, callbacks=[early_stopping])
    return early_stopping


class PlainItemTower(tf.keras.layers.Layer):
    """The same sum of vectors as the product's, of Keras' embeddings."""

    def __init__(self, columns: ItemColumns, dimensions: int, id_dropout: float) -> None:
        super().__init__()
        self.columns, self.dimensions = columns, dimensions
        self.ids, self.words, *self.tables = (
            tf.keras.layers.Embedding(
                rows, dimensions, embeddings_initializer=tf.keras.initializers.RandomUniform(-0.02, 0.02)
            )
            for rows in (len(columns), columns.word_buckets, *columns.cardinalities)
        )
        self.dropout = tf.keras.layers.Dropout(id_dropout, noise_shape=(None, 1))
        self._codes, self._words = tf.constant(columns.codes), tf.constant(columns.words)
        self._kept = 1.0 - id_dropout

    def call(self, rows: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[n, dimensions]."""
        identity = self.dropout(self.ids(rows), training=training)
        vectors = identity * self._kept if training else identity  # ids are left out, and the others not enlarged
        codes, words = tf.gather(self._codes, rows), tf.gather(self._words, rows)
        for place, table in enumerate(self.tables):
            vectors += table(codes[:, place]) * tf.cast(codes[:, place] > 0, tf.float32)[:, None]
        known = tf.cast(words > 0, tf.float32)
        described = tf.reduce_sum(self.words(words) * known[:, :, None], axis=1)
        vectors += described / tf.sqrt(tf.maximum(tf.reduce_sum(known, axis=1, keepdims=True), 1.0))
        return vectors * tf.cast(rows > 0, tf.float32)[:, None]


class Plain(tfrs.Model):
    """The same towers, an example at a time."""

    def __init__(self, item_tower: PlainItemTower, user_tower: PoolingTower) -> None:
        super().__init__()
        self.item_tower, self.user_tower = item_tower, user_tower
        self.task = tfrs.tasks.Retrieval()

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """The tutorial's task over whole batches."""
        history = inputs["history_items"]
        flat = self.item_tower(tf.reshape(history, [-1]), training=training)
        vectors = tf.reshape(flat, [tf.shape(history)[0], history.shape[1], self.item_tower.dimensions])
        users = self.user_tower((vectors, history, inputs["history_types"], inputs["history_ages"], inputs["profile"]))
        items = self.item_tower(inputs["target"], training=training)
        return self.task(users, items, sample_weight=inputs["weight"], compute_metrics=False)


def _batches(inputs: RetrievalInputs, cutter: ExampleCutter, size: int, seed: int) -> Iterator[Batch]:
    """Batches of single examples in random order, without an end."""
    parts: list[tuple[Sequences, Batch, Any]] = []
    for part in inputs.parts.all():
        occasions = find_occasions(part).between(inputs.start, inputs.after)
        whole = next(cutter.batches(part, occasions, [np.arange(len(occasions))], inputs.after))
        del whole["history_items"], whole["history_types"], whole["history_ages"], whole["profile"]
        parts.append((part, whole, occasions))
    random = np.random.default_rng(seed)
    while True:
        for part, examples, occasions in parts:
            order = random.permutation(len(examples["target_items"]))
            for chosen in np.split(order, np.arange(size, len(order), size)):
                history = cutter.history(part, occasions[examples["target_occasions"][chosen]])
                targets = {"target": examples["target_items"][chosen], "weight": examples["target_weights"][chosen]}
                yield {**history, **targets}


SIDES = {"ours": ours, "peer": peer}


def main() -> None:
    """Train one side, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.two_tower.demo", description=__doc__.split("\n")[0])
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("--home", type=Path, default=Path("var"), help="home of the demo (default var)")
    parser.add_argument("--target", type=float, default=0.21)
    parser.add_argument("--look-every", type=int, default=64, help="steps between two evaluations (default 64)")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds of training to give up after (default 300)")
    given = parser.parse_args()
    settings = load_settings().model_copy(update={"home": given.home.resolve()})
    meta = settings.home_folder / "imports" / "complete-journey-1-48" / "meta.json"
    day = date.fromisoformat(json.loads(meta.read_text())["as_of_day"])
    with progress_bars() as progress:
        inputs = read_inputs(settings, day, progress)
        validation_users = ValidationUsers.of(settings, day, inputs)

        def measure(model: tf.keras.Model) -> float:
            if isinstance(model, Plain):
                parts = np.array_split(np.arange(len(model.item_tower.columns)), 8)
                vectors = np.concatenate([model.item_tower(rows).numpy() for rows in parts])
            else:
                vectors = item_vectors(model, inputs.seen.events[inputs.after])
            tower = user_function(model, vectors, inputs.encoder.history_length, len(inputs.encoder.profile_keys))
            return validation_users.recall(vectors, tower.vectors(validation_users.inputs)[:, :-1])

        early_stopping = SIDES[given.side](
            inputs, settings, lambda: UntilGood(measure, given.look_every, given.target, given.limit), progress
        )
    seconds, recall = early_stopping.looks[-1]
    found = {"seconds": seconds, "recall": recall, "reached": recall >= given.target, "looks": early_stopping.looks}
    print(json.dumps({**found, "peak_mib": peak_mib()}))


if __name__ == "__main__":
    main()
