"""One training of a ranker, ours or the plain one: `python -m benchmarks.ranker.sides ours|peer [--home var]`.

Run by `benchmarks.ranker`; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from rich.progress import Progress

from benchmarks.report import peak_mib
from headrace.features.ranking import CATEGORICAL, NUMERIC
from headrace.settings import load_settings
from headrace.settings.jobs import TrainingSettings
from models.ranker.examples.examples import RankingExamples
from models.ranker.examples.training_data import RankingData, read_ranking_data
from models.ranker.fitting import fit_ranker
from models.ranker.networks.model import EMBEDDING
from models.ranker.networks.scaling import Scaling
from models.ranker.networks.wide_deep import HIDDEN, OWN_STEPS, SOURCE_COLUMNS
from models.ranker.training import score_examples
from models.ranker.validation import validate

_OWN = NUMERIC.index("own_count")
Score = Callable[[RankingExamples], npt.NDArray[np.float32]]
Train = Callable[[], Score]
"""What is timed."""


def ours(ranking_data: RankingData, learning: RankingExamples, training: TrainingSettings) -> Train:
    """The product's trainer."""

    def train() -> Score:
        quiet = Progress(disable=True)
        model, _ = fit_ranker(learning, ranking_data.cardinalities, training, quiet, lambda _: {}, None)
        return lambda examples: score_examples(model, examples)

    return train


def peer(ranking_data: RankingData, learning: RankingExamples, training: TrainingSettings) -> Train:
    """Keras' `fit`, a candidate a row."""
    numeric, categorical = learning.numeric[learning.present], learning.categorical[learning.present]
    taken = (learning.taken[learning.present] > 0).astype(np.float32)

    def train() -> Score:
        tf.keras.utils.set_random_seed(training.seed)
        scaling = Scaling.of(learning.numeric, learning.present, float(taken.mean()))
        model = plain_wide_and_deep(ranking_data.cardinalities, scaling)
        steps = training.ranker_epochs * -(-len(taken) // training.ranker_batch_size)
        rate = tf.keras.optimizers.schedules.CosineDecay(training.ranker_learning_rate, steps, 0.05)
        loss = tf.keras.losses.BinaryCrossentropy(from_logits=True)
        model.compile(optimizer=tf.keras.optimizers.legacy.Adam(rate), loss=loss)
        model.fit(
            [numeric, categorical],
            taken,
            batch_size=training.ranker_batch_size,
            epochs=training.ranker_epochs,
            verbose=0,
        )

        def score(examples: RankingExamples) -> npt.NDArray[np.float32]:
            rows = [examples.numeric.reshape(-1, len(NUMERIC)), examples.categorical.reshape(-1, len(CATEGORICAL))]
            return np.asarray(model.predict(rows, batch_size=16_384, verbose=0)).reshape(examples.present.shape)

        return score

    return train


def plain_wide_and_deep(cardinalities: tuple[int, ...], scaling: Scaling) -> tf.keras.Model:
    """The same Wide & Deep of Keras' own layers."""
    layers = tf.keras.layers
    numeric = layers.Input((len(NUMERIC),), dtype=tf.float32)
    categorical = layers.Input((len(CATEGORICAL),), dtype=tf.int32)
    scaled = layers.Normalization(mean=scaling.mean, variance=np.square(scaling.spread))(numeric)
    codes = [layers.Embedding(size, EMBEDDING)(categorical[:, place]) for place, size in enumerate(cardinalities)]
    deep = layers.Concatenate()([tf.clip_by_value(scaled, -5.0, 5.0), *codes])
    for size in HIDDEN:
        deep = layers.Dense(size, activation="relu")(deep)
    parts = [layers.Dense(1)(deep)]
    for place, bounds in enumerate(scaling.steps):
        classes = layers.Discretization(bin_boundaries=sorted(set(bounds.tolist())))(numeric[:, place])
        parts.append(layers.Embedding(len(bounds) + 1, 1, embeddings_initializer="zeros")(classes))
    own = layers.Discretization(bin_boundaries=list(OWN_STEPS))(numeric[:, _OWN])
    bits = tf.cast(tf.gather(numeric, SOURCE_COLUMNS, axis=1) > 0, tf.int64)
    sources = tf.reduce_sum(bits * [2**place for place in range(len(SOURCE_COLUMNS))], axis=1)
    category = tf.cast(categorical[:, 0], tf.int64)
    for crossed, size in ((own, len(OWN_STEPS) + 1), (sources, 2 ** len(SOURCE_COLUMNS))):
        cross = tf.cast(crossed, tf.int64) * cardinalities[0] + category
        parts.append(layers.Embedding(size * cardinalities[0], 1, embeddings_initializer="zeros")(cross))
    return tf.keras.Model([numeric, categorical], layers.Add()(parts))


SIDES = {"ours": ours, "peer": peer}


def main() -> None:
    """Train one side, evaluate it, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ranker.sides", description=__doc__.split("\n")[0])
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("--home", type=Path, default=Path("var"), help="home of the demo (default var)")
    parser.add_argument("--epochs", type=int, default=2, help="passes over the candidates (default 2)")
    given = parser.parse_args()
    settings = load_settings().model_copy(update={"home": given.home.resolve()})
    meta = settings.home_folder / "imports" / "complete-journey-1-48" / "meta.json"
    if not meta.exists():
        parser.error(f"{meta} is missing: run `make demo` first, or name its home with --home")
    ranking_data = read_ranking_data(settings, date.fromisoformat(json.loads(meta.read_text())["as_of_day"]))
    learning = ranking_data.learning
    alone = {"ranker_epochs": given.epochs, "ranker_least_steps": 1, "ranker_members": 1}
    plain = {"ranker_model": "wide_deep", "ranker_loss": "log_loss"}
    training = settings.training.model_copy(update={**alone, **plain})
    train = SIDES[given.side](ranking_data, learning, training)
    started = time.perf_counter()
    score = train()
    seconds, trained_mib = time.perf_counter() - started, peak_mib()
    validation_score = validate(
        score(ranking_data.validation_users), ranking_data.validation_users, ranking_data.validation_counts
    )
    found: dict[str, Any] = {
        "rows_per_second": round(given.epochs * int(learning.present.sum()) / seconds, 1),
        "seconds": round(seconds, 1),
        "ndcg_all": validation_score.ndcg_all,
        "ndcg_new": validation_score.ndcg_new,
        "peak_mib": trained_mib,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
