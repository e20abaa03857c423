"""Champion and challenger before the same judges: what both would have shown them at the start of the holdout.

The judges trained neither ranker (`models.judges`), and neither rehearsal knows anything of the holdout. Lists and
times come from the code that serves (`serving.side_by_side`), in one process.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headrace.children import child_environment, module_command
from headrace.errors import HeadraceError
from headrace.release import Release
from headrace.settings import Settings
from headrace.tables import GOLD_RANKING_EXAMPLES
from models.evaluation.comparison import OURS, Comparison, compare
from models.evaluation.lists_file import read_lists
from models.evaluation.metrics import Ints, score_lists
from models.evaluation.model_score import SHORT, ModelScore
from models.evaluation.slices import item_group_scores
from models.evaluation.truth import Task, Truth, read_truth
from models.gold import Lake
from models.judges import judge_places

CHAMPION = "champion"
TASKS: tuple[Task, ...] = ("all", "new")
SLICES = ("new users", "light users", "heavy users", "new items")
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Contest:
    """What came of it; arrays are of the challenger and, where there is a champion, of it."""

    comparisons: list[Comparison]
    """All models on each task, the challenger as "ours"."""
    quality: dict[str, list[Floats]]
    """nDCG@20 of each judge, by task."""
    slices: dict[str, list[Floats]]
    """The same by task and slice."""
    ranking_ms: list[Floats]
    """Milliseconds to rank each known judge's candidates."""

    def of_both(self) -> list[ModelScore]:
        """Everything measured of the challenger and the champion on the first task."""
        scores = self.comparisons[0].scores
        return [scores[OURS], scores[CHAMPION]]


def hold_contest(settings: Settings, day: date, challenger: Release, champion: Release | None) -> Contest | None:
    """Both rehearsals before the judges of the holdout that ends with `day`; None where there is nothing to judge by.

    Raises HeadraceError with the reason where one of the two cannot be served.
    """
    lake = Lake(settings.lake_root)
    both = [challenger, *([champion] if champion else [])]
    judges = choose(lake, day, both, settings.gate.judges)
    with tempfile.TemporaryDirectory(prefix="headrace-contest-") as name:
        folder = Path(name)
        test = folder / "taken.parquet"
        pq.write_table(judges, test)
        try:
            truth = read_truth(lake, day - timedelta(days=settings.training.holdout_days), test)
        except HeadraceError:
            return None
        _run(settings, day, both, test, folder)
        lists = {task: _lists(folder, truth, task, len(both)) for task in TASKS if len(truth.tasks[task].users)}
        times = json.loads((folder / "latency.json").read_text(encoding="utf-8"))
    return Contest(
        [
            compare(truth, task, found[0], dict(zip([CHAMPION], found[1:], strict=False)))
            for task, found in lists.items()
        ],
        {task: [_scores(truth, task, each) for each in found] for task, found in lists.items()},
        {name: values for task, found in lists.items() for name, values in _slices(truth, task, found).items()},
        [np.array(of_release["ranking"], np.float64) for of_release in times],
    )


def choose(lake: Lake, day: date, releases: Sequence[Release], most: int) -> pa.Table:
    """What the judges of all `releases` took in the holdout, as purchases; at most `most` judges."""
    rows = lake.read(GOLD_RANKING_EXAMPLES, day, ["user_id", "target_items"])
    places = judge_places(rows.column("user_id").to_pylist())
    share = min(float(each.manifest.settings["training"]["ranker_validation_share"]) for each in releases)
    judging = np.flatnonzero(places < share)
    chosen = rows.take(pa.array(judging[np.argsort(places[judging])][:most]))
    parents = pc.list_parent_indices(chosen.column("target_items"))
    items = pc.list_flatten(chosen.column("target_items"))
    return pa.table(
        {
            "event_type": pa.repeat("purchase", len(items)),
            "user_id": chosen.column("user_id").take(parents),
            "item_id": items,
            "value": pa.repeat(1.0, len(items)),
        }
    )


def _run(settings: Settings, day: date, releases: Sequence[Release], users: Path, output: Path) -> None:
    given = [part for each in releases for part in ("--release", str(each.folder))]
    given += ["--day", str(day), "--users-from", str(users), "--output", str(output)]
    command = module_command("serving.side_by_side", *given)
    done = subprocess.run(
        command, env=child_environment(settings), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
    )
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise HeadraceError("".join(last) or f"serving.side_by_side ended with {done.returncode}")


def _lists(folder: Path, truth: Truth, task: Task, releases: int) -> list[Ints]:
    return [read_lists(folder / f"{place}_{task}.parquet", truth, task) for place in range(releases)]


def _scores(truth: Truth, task: Task, lists: Ints) -> Floats:
    return score_lists(lists, truth.tasks[task].targets, SHORT).ndcg


def _slices(truth: Truth, task: Task, lists: Sequence[Ints]) -> dict[str, list[Floats]]:
    of_task, facts = truth.tasks[task], truth.facts
    found: dict[str, list[Floats]] = {}
    for each in lists:
        scores = _scores(truth, task, each)
        groups = {name: scores[members[of_task.users]] for name, members in facts.user_groups.items()}
        of_items = item_group_scores(each, of_task.targets, facts.item_groups, SHORT)
        groups |= {name: of_group.ndcg for name, of_group in of_items.items()}
        for name in SLICES:
            if name in groups:
                found.setdefault(f"{name}, {task}", []).append(groups[name])
    return found
