"""One training of a two-tower of ids alone, by our trainer or as TFRS' tutorial writes it, and its recall.

    python -m benchmarks.two_tower.ids ours|peer FOLDER [--epochs 3] [--rate 0.1]

Run by `benchmarks.two_tower`, each in a process of its own; the last line is one JSON object. Both have a vector of 64
numbers for each user and each item and the softmax over the items of a batch of 4,096 pairs, Adagrad. The tutorial
(tensorflow.org/recommenders, basic retrieval) measures no recall while it trains, and neither does ours.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
import tensorflow_recommenders as tfrs
from deltalake import write_deltalake

from benchmarks.report import peak_mib
from headrace.features.user_tower import TowerEncoder
from headrace.settings.jobs import TrainingSettings
from headrace.tables import GOLD_RETRIEVAL_EXAMPLES, end_of, microseconds
from models.baselines.interface import best_of_each_row
from models.metrics.ranking import Targets, score_lists
from models.training.command import progress_bars
from models.training.gold import Lake
from models.training.workers import Worker
from models.two_tower.architecture import build_model
from models.two_tower.examples.parts import SequenceParts
from models.two_tower.examples.sequences import ExampleCutter
from models.two_tower.network.model import ItemColumns
from models.two_tower.training import Phase, train_phase

DIMENSIONS, BATCH = 64, 4096
RECALL_AT = 100
DAY = date(2026, 10, 19)
_JUDGED = 4_000
"""Users whose recall is measured."""
_TOPICS = 200
_NOTHING = "nothing"
_SECOND = 1_000_000
"""In microseconds: all occasions are in the last one, so that their examples weigh the same."""
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Pairs:
    """Interactions: numbers of users and items, trained on and held out."""

    users: int
    items: int
    learnt: npt.NDArray[np.int64]
    """[pairs, 2]: user, item."""
    held_out: npt.NDArray[np.int64]


def make_pairs(users: int, items: int, pairs: int, seed: int = 7) -> Pairs:
    """Users with three of 200 topics each, items that are taken as often as their rank in the topic says."""
    random = np.random.default_rng(seed)
    topic_of_item = np.sort(random.integers(0, _TOPICS, items))
    first = np.searchsorted(topic_of_item, np.arange(_TOPICS))
    shares = 1.0 / (np.arange(items) - first[topic_of_item] + 5.0)
    totals = np.bincount(topic_of_item, shares, _TOPICS)
    passed = topic_of_item + np.cumsum(shares / totals[topic_of_item]) - topic_of_item
    likes = random.integers(0, _TOPICS, (users, 3))
    activity = random.lognormal(0.0, 0.7, users)
    user = random.choice(users, round(pairs * 1.35), p=activity / activity.sum())
    topic = np.where(random.random(len(user)) < 0.1, random.integers(0, _TOPICS, len(user)), 0)
    topic = np.where(topic, topic, likes[user, random.integers(0, 3, len(user))])
    item = np.minimum(np.searchsorted(passed, topic + random.random(len(user))), items - 1)
    distinct = np.unique(user * items + item)
    chosen = random.permutation(distinct)[:pairs]
    found = np.stack(np.divmod(chosen, items), axis=1)
    held = np.arange(len(found)) % 10 == 0
    return Pairs(users, items, found[~held], found[held])


def write_pairs(pairs: Pairs, folder: Path, together: int) -> None:
    """The learnt pairs as both sides read them: ids in a file, and the same as the lake's training set.

    There is no time in them. For our trainer so many of a user's items are one occasion: one vector of the user serves
    them all, and which of the items are together makes no difference to a user vector without a history.
    """
    ids = {"user_id": pairs.learnt[:, 0], "item_id": pairs.learnt[:, 1]}
    names = {name: pa.array(numbers.astype(str)) for name, numbers in ids.items()}
    pq.write_table(pa.table(names), folder / "pairs.parquet")
    np.savez(folder / "pairs.npz", sizes=[pairs.users, pairs.items], learnt=pairs.learnt, held_out=pairs.held_out)
    by_user = pairs.learnt[np.argsort(pairs.learnt[:, 0], kind="stable")]
    of_user = np.split(by_user[:, 1].astype(str), np.cumsum(np.bincount(by_user[:, 0], minlength=pairs.users))[:-1])
    last = microseconds(end_of(DAY)) - 1
    rows = [
        {
            # What comes first is never learnt, only read as history: so it is something that no item is.
            "user_id": str(user),
            "items": [_NOTHING, *items],
            "types": ["take"] * (len(items) + 1),
            "timestamps": [0, *sorted(last - place // together for place in range(len(items)))],
            "first_target": 1,
            "profile_keys": ["user_id"],
            "profile_values": [str(user)],
            "day": DAY,
        }
        for user, items in enumerate(of_user)
    ]
    table = GOLD_RETRIEVAL_EXAMPLES
    data = pa.Table.from_pylist(rows, table.schema)
    write_deltalake(f"{folder}/lake/{table.path}", data, partition_by=[str(table.partition)])


def read_pairs(folder: Path) -> Pairs:
    """What `write_pairs` wrote."""
    with np.load(folder / "pairs.npz") as saved:
        users, items = (int(size) for size in saved["sizes"])
        return Pairs(users, items, saved["learnt"], saved["held_out"])


def recalls(pairs: Pairs, user_vectors: Floats, item_vectors: Floats) -> npt.NDArray[np.float64]:
    """Recall@100 of the first users with something held out; what they took before is not listed."""
    judged = np.unique(pairs.held_out[:, 0])[:_JUDGED]
    scores = user_vectors[judged] @ item_vectors.T
    learnt = pairs.learnt[np.isin(pairs.learnt[:, 0], judged)]
    scores[np.searchsorted(judged, learnt[:, 0]), learnt[:, 1]] = -np.inf
    held = pairs.held_out[np.isin(pairs.held_out[:, 0], judged)]
    targets = Targets.of([held[held[:, 0] == user, 1] for user in judged])
    return score_lists(best_of_each_row(scores, RECALL_AT), targets, RECALL_AT).recall


def ours(folder: Path, pairs: Pairs, epochs: int, rate: float) -> tuple[float, Floats, Floats]:
    """Seconds, vectors of users and items: the product's trainer, given nothing but ids."""
    item_ids = [str(item) for item in range(pairs.items)]
    vocabularies = {"event_types": ["take"], "profile.user_id": [str(user) for user in range(pairs.users)]}
    training = TrainingSettings(
        embedding_size=DIMENSIONS + 1,  # one more for the popularity, which this model has not
        retrieval_batch_size=BATCH,
        retrieval_learning_rate=rate,
        retrieval_epochs=epochs,
        retrieval_temperature=1.0,
        id_dropout=0.0,
    )
    nothing = np.zeros((pairs.items + 1, 0), np.int32)
    sizes = (pairs.users + 1,)
    model = build_model(
        ItemColumns(nothing, (), nothing, 1), 1, sizes, 0, np.zeros(pairs.items + 1, np.int64), training
    )
    encoder = TowerEncoder({item: row for row, item in enumerate(item_ids)}, vocabularies, history_length=0)
    parts = SequenceParts(
        Lake(str(folder / "lake")), DAY, training.retrieval_part_users, item_ids, vocabularies, encoder
    )
    after = microseconds(end_of(DAY))
    phase = Phase("ids", after - _SECOND, after, len(pairs.learnt))
    cutter = ExampleCutter(0, training.example_half_life_days, training.repeat_weight)
    started = time.perf_counter()
    with progress_bars() as progress:
        train_phase(model, cutter, parts, phase, training, Worker(), progress)
    seconds = time.perf_counter() - started
    user_vectors = model.user_tower.profiles[0].numpy()[1:]
    return seconds, user_vectors, model.item_tower.ids.numpy()[1:]


def peer(folder: Path, pairs: Pairs, epochs: int, rate: float) -> tuple[float, Floats, Floats]:
    """The same by Keras' `fit`, as the tutorial has it."""
    tf.keras.utils.set_random_seed(7)
    table = pq.read_table(folder / "pairs.parquet")
    features = {name: np.array(table.column(name).to_pylist()) for name in table.column_names}
    model = _Tutorial([str(user) for user in range(pairs.users)], [str(item) for item in range(pairs.items)])
    model.compile(optimizer=tf.keras.optimizers.Adagrad(rate))
    started = time.perf_counter()
    data = tf.data.Dataset.from_tensor_slices(features).shuffle(100_000).batch(BATCH).cache()
    model.fit(data, epochs=epochs, verbose=0)
    seconds = time.perf_counter() - started
    return seconds, model.users.layers[1].get_weights()[0][1:], model.items.layers[1].get_weights()[0][1:]


class _Tutorial(tfrs.Model):
    def __init__(self, user_ids: list[str], item_ids: list[str]) -> None:
        super().__init__()
        self.users, self.items = (
            tf.keras.Sequential(
                [
                    tf.keras.layers.StringLookup(vocabulary=ids, mask_token=None),
                    tf.keras.layers.Embedding(len(ids) + 1, DIMENSIONS),
                ]
            )
            for ids in (user_ids, item_ids)
        )
        self.task = tfrs.tasks.Retrieval()

    def compute_loss(self, features: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        return self.task(self.users(features["user_id"]), self.items(features["item_id"]), compute_metrics=not training)


SIDES: dict[str, Callable[[Path, Pairs, int, float], tuple[float, Floats, Floats]]] = {"ours": ours, "peer": peer}


def main() -> None:
    """Train one side, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.two_tower.ids", description=__doc__.split("\n")[0])
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("folder", type=Path, help="what `benchmarks.two_tower` wrote")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=0.1, help="Adagrad's (default 0.1, the tutorial's)")
    given = parser.parse_args()
    pairs = read_pairs(given.folder)
    seconds, user_vectors, item_vectors = SIDES[given.side](given.folder, pairs, given.epochs, given.rate)
    trained_mib = peak_mib()
    found = recalls(pairs, user_vectors, item_vectors)
    np.save(given.folder / f"recalls_{given.side}.npy", found)
    speed = given.epochs * len(pairs.learnt) / seconds
    measured = {"seconds": seconds, "examples_per_second": speed, "recall": float(found.mean())}
    print(json.dumps({**measured, "peak_mib": trained_mib}))


if __name__ == "__main__":
    main()
