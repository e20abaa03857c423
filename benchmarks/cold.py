"""Cold: items without any training event by their content alone, and users without history by their demographics.

    python -m benchmarks.cold [--home var] [--folds 3]

On the demo's data (made by `make demo`), trained up to week 48 and evaluated on weeks 49 to 53. In each fold a tenth of
the items, chosen by the hash of their ids, is taken out of every sequence that training reads and out of the histories
of the evaluated users: recall@100 of a list of those items alone, against their order by first day (newest first) and
against chance. In the same training the households with demographics of one third (by hash) are left out: nDCG@20 of a
list made of no history and those demographics, against the popular list, both without the items taken out. Each fold is
trained once more without any text of the items.
"""

from __future__ import annotations

import argparse
import json
import zlib
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from rich.progress import Progress

from benchmarks.report import report
from headrace.features.user_row import UserRow
from headrace.features.user_tower import TowerEncoder
from headrace.settings import Settings, load_settings
from models.baselines.interface import best_of_each_row
from models.evaluation.ground_truth import GroundTruth, read_ground_truth
from models.metrics.ranking import Targets, score_lists
from models.metrics.resampling import interval, paired_ratio
from models.training.command import progress_bars
from models.training.workers import Worker
from models.two_tower.examples.inputs import RetrievalInputs, read_inputs
from models.two_tower.examples.parts import SequenceParts, count_sequences
from models.two_tower.examples.sequences import Sequences
from models.two_tower.training_phases import TrainingPhases
from serving.offline import lake as serving_lake

ITEM_SHARES = 10
TIMES_RANDOM = 3.0
COLD_K, K = 100, 20
Values = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass
class PartsWithoutSome(SequenceParts):
    """The training set as if some items and users had never been there."""

    hidden_rows: Bools = field(default_factory=lambda: np.zeros(0, np.bool_))
    """[items + 1] by row + 1."""
    hidden_users: frozenset[str] = frozenset()

    def _sequences(self, table: pa.Table) -> Sequences:
        whole = super()._sequences(table)
        user_is_hidden = [user in self.hidden_users for user in table.column("user_id").to_pylist()]
        hidden = self.hidden_rows[whole.items] | np.repeat(user_is_hidden, np.diff(whole.starts))
        return replace(whole, items=np.where(hidden, 0, whole.items))  # 0: neither trained on nor read


@dataclass(frozen=True)
class World:
    """The demo's training data and the events after it."""

    settings: Settings
    inputs: RetrievalInputs
    ground_truth: GroundTruth
    rows: dict[str, UserRow]
    """The evaluated users as known at the end of the training window, by id."""
    catalogue_rows: npt.NDArray[np.int64]
    """[items of the ground truth's catalogue]: their rows in the item table."""
    age_days: npt.NDArray[np.float32]
    """[items of the ground truth's catalogue]: since their first event."""


@dataclass(frozen=True)
class Found:
    """Per evaluated user, of one fold."""

    cold_recall: Values
    random_recall: Values
    newest_recall: Values
    without_history_ndcg: Values
    popular_ndcg: Values


def main() -> None:
    """Train the folds, with and without text, and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--home", type=Path, default=Path("var"), help="home of the demo (default var)")
    parser.add_argument("--folds", type=int, choices=range(1, 4), default=3, help="each two trainings (default 3)")
    given = parser.parse_args()
    meta = given.home / "imports" / "complete-journey-1-48" / "meta.json"
    if not meta.exists():
        parser.error(f"{meta} is missing: run `make demo` first, or name its home with --home")
    settings = load_settings().model_copy(update={"home": given.home.resolve()})
    with progress_bars() as progress:
        world = read_world(settings, date.fromisoformat(json.loads(meta.read_text())["as_of_day"]), progress)
        textless = replace(
            world.inputs, items=without_text(world.inputs.items), items_before=without_text(world.inputs.items_before)
        )
        folds = range(given.folds)
        found = _joined([fold_of(world, world.inputs, fold, progress) for fold in folds])
        without = _joined([fold_of(world, textless, fold, progress) for fold in folds])
    _report(found, without, given.folds)


def read_world(settings: Settings, day: date, progress: Progress) -> World:
    """Raises BadInputError where a table or the test weeks are missing."""
    inputs = read_inputs(settings, day, progress)
    ground_truth = read_ground_truth(
        inputs.lake, day, settings.home_folder / "imports" / "complete-journey-49-53" / "events.parquet"
    )
    evaluated = set(ground_truth.user_ids)
    rows = {user.user_id: user for user in serving_lake.users(settings, day) if user.user_id in evaluated}
    row_of = {item: row for row, item in enumerate(inputs.items.column("item_id").to_pylist())}
    catalogue_rows = np.array([row_of[item] for item in ground_truth.catalogue.item_ids])
    ages = inputs.items.column("age_days").to_numpy()[catalogue_rows]
    return World(settings, inputs, ground_truth, rows, catalogue_rows, ages)


def without_text(items: pa.Table) -> pa.Table:
    """The same items with neither title nor text; their categories are kept."""
    titles, texts = (items.schema.get_field_index(name) for name in ("title", "text"))
    named = items.set_column(titles, "title", items.column("item_id"))
    return named.set_column(texts, "text", pa.nulls(items.num_rows, pa.string()))


def fold_of(world: World, inputs: RetrievalInputs, fold: int, progress: Progress) -> Found:
    """Train without a tenth of the items and a third of the households with demographics, and evaluate on both."""
    item_ids = inputs.items.column("item_id").to_pylist()
    cold = np.array([_hash(item) % ITEM_SHARES == fold for item in item_ids])
    without_history = [user for user in world.ground_truth.user_ids if user in world.rows and world.rows[user].profile]
    without_history = [user for user in without_history if _hash(user) % 3 == fold]
    old = inputs.parts
    parts = PartsWithoutSome(
        old.lake, old.day, old.users, old.item_ids, old.vocabularies, old.encoder,
        hidden_rows=np.append(False, cold), hidden_users=frozenset(without_history),
    )  # fmt: skip
    seen = count_sequences(parts, (inputs.start, inputs.before, inputs.after))
    phases = TrainingPhases(replace(inputs, parts=parts, seen=seen), world.settings.training, Worker(), progress)
    first = phases.up_to_the_holdout()
    weight = phases.measure().best_weight
    phases.over_the_holdout(first.epochs)
    vectors = phases.vectors(holdout=False)
    tower = phases.user_function(vectors)
    warm_rows = {item: row for row, item in enumerate(item_ids) if not cold[row]}
    encoder = TowerEncoder(warm_rows, inputs.vocabularies, inputs.encoder.history_length)
    vectors, cold = vectors[1:][world.catalogue_rows], cold[world.catalogue_rows]

    def users(user_ids: list[str], *, history: bool) -> npt.NDArray[np.float32]:
        known = [world.rows.get(user) for user in user_ids]
        histories = [user.history if user and history else [] for user in known]
        return tower.vectors(encoder.encode(histories, [user.profile if user else {} for user in known]))[:, :-1]

    catalogue_rows, targets, evaluated = _targets(world.ground_truth, cold, [*world.ground_truth.user_ids])
    lists = best_of_each_row(users(evaluated, history=True) @ vectors[catalogue_rows].T, COLD_K)
    newest = np.argsort(world.age_days[catalogue_rows], kind="stable")[:COLD_K]
    best = np.minimum(targets.counts, COLD_K)
    cold_recall = score_lists(lists, targets, COLD_K).recall
    newest_recall = score_lists(np.tile(newest, (len(evaluated), 1)), targets, COLD_K).recall
    chance = targets.counts * COLD_K / len(catalogue_rows) / best

    catalogue_rows, targets, evaluated = _targets(world.ground_truth, ~cold, without_history)
    prior = weight * np.log1p(inputs.items.column("trend_popularity").to_numpy()[world.catalogue_rows][catalogue_rows])
    lists = best_of_each_row(users(evaluated, history=False) @ vectors[catalogue_rows].T + prior, K)
    order = world.ground_truth.catalogue.order
    number = np.cumsum(~cold) - 1  # of each item among those of the list
    popular = number[order[~cold[order]][:K]]
    return Found(
        cold_recall,
        chance,
        newest_recall,
        score_lists(lists, targets, K).ndcg,
        score_lists(np.tile(popular, (len(evaluated), 1)), targets, K).ndcg,
    )


def _targets(
    ground_truth: GroundTruth, wanted: Bools, users: list[str]
) -> tuple[npt.NDArray[np.int64], Targets, list[str]]:
    """The `wanted` items, the users' targets by index among them, and the users with any."""
    catalogue_rows, number = np.flatnonzero(wanted), np.cumsum(wanted) - 1
    of_all = ground_truth.tasks["all"]
    starts = np.concatenate([[0], np.cumsum(of_all.targets.counts)])
    row_of = {ground_truth.user_ids[user]: row for row, user in enumerate(of_all.users)}
    taken = {
        user: of_all.targets.items[starts[row_of[user]] : starts[row_of[user] + 1]] for user in users if user in row_of
    }
    found = {user: number[items[wanted[items]]] for user, items in taken.items()}
    evaluated = [user for user, items in found.items() if len(items)]
    return catalogue_rows, Targets.of([found[user] for user in evaluated]), evaluated


def _joined(folds: list[Found]) -> Found:
    return Found(*(np.concatenate([getattr(fold, name) for fold in folds]) for name in Found.__dataclass_fields__))


def _report(found: Found, without: Found, folds: int) -> None:
    bars = [
        _bar("cold items, recall@100, to chance", found.cold_recall, found.random_recall, TIMES_RANDOM),
        _bar("cold items, recall@100, to newest first", found.cold_recall, found.newest_recall, 1.0),
        _bar("users without history, nDCG@20, to popular", found.without_history_ndcg, found.popular_ndcg, 1.0),
    ]
    text = _bar("cold items, recall@100, with text to without", found.cold_recall, without.cold_recall, 1.0)
    for bar in (*bars, text):
        low, high = bar["interval"]
        print(f"{bar['name']}: {bar['ours']:.4f} / {bar['peer']:.4f} = {bar['ratio']:.3f} ({low:.3f}–{high:.3f})")
    report(
        name="cold",
        ours=bars[0]["ours"],
        peer=bars[0]["peer"],
        peer_name="chance: recall@100 of items without any training event",
        ratio=bars[0]["ratio"],
        goal=f">= {TIMES_RANDOM:g} x chance and >= newest first; users without history: nDCG@20 >= popular",
        met=all(bar["met"] for bar in bars),
        bars=bars,
        text=text,
        folds=folds,
    )


def _bar(name: str, ours: Values, peer: Values, goal: float) -> dict[str, Any]:
    ratio, low, high = paired_ratio(ours, peer)
    return {
        "name": name,
        "users": len(ours),
        "ours": round(float(ours.mean()), 5),
        "ours_interval": [round(bound, 5) for bound in interval(ours)],
        "peer": round(float(peer.mean()), 5),
        "ratio": ratio,
        "interval": [low, high],
        "goal": goal,
        "met": ratio >= goal,
    }


def _hash(name: str) -> int:
    return zlib.crc32(name.encode())


if __name__ == "__main__":
    main()
