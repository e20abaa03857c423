"""Challenger, champion and anchor on the same validation users: what each would have shown at the start of the holdout.

No backtest bundle was trained on the holdout, nor on anything after its start.
Lists and times come from the code that serves (`serving.offline.model_comparison`), in one process.
"""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headrace.errors import HeadraceError
from headrace.machine.subprocesses import child_environment, module_command
from headrace.release.bundle import Release
from headrace.settings import Settings
from headrace.tables import GOLD_RANKING_EXAMPLES
from models.evaluation.comparison import Comparison, compare
from models.evaluation.ground_truth import GroundTruth, Task, read_ground_truth
from models.evaluation.lists_file import read_lists
from models.evaluation.model_score import SHORT, ModelScore
from models.metrics.ranking import Ints, score_lists
from models.metrics.slices import item_group_scores
from models.training.gold import Lake
from models.training.validation_users import validation_fractions

TASKS: tuple[Task, ...] = ("all", "new")
SLICES = ("new users", "light users", "heavy users", "new items")
Floats = npt.NDArray[np.float64]


class ComparisonKilledError(HeadraceError):
    """The comparison's process did not end by itself, e.g. for want of memory."""


@dataclass(frozen=True)
class ChampionChallenger:
    """Result of the comparison; arrays are of the challenger and of each of `others`, in their order."""

    comparisons: list[Comparison]
    """All models on each task, the challenger as "ours"."""
    others: list[str]
    """Names of the releases that it was compared with."""
    quality: dict[str, list[Floats]]
    """nDCG@20 of each validation user, by task."""
    slices: dict[str, list[Floats]]
    """The same by task and slice."""
    ranking_ms: list[Floats]
    """Milliseconds to rank each known validation user's candidates."""

    def score(self, name: str) -> ModelScore:
        """The metrics of the challenger ("ours") or one of `others` on the first task."""
        return self.comparisons[0].scores[name]


def compare_backtests(
    settings: Settings, day: date, challenger: Release, others: Mapping[str, Release], most_users: int
) -> ChampionChallenger | None:
    """All backtests on at most `most_users` users of the holdout that ends with `day`; None where there is none.

    Raises ComparisonKilledError where it may work another time, and HeadraceError with the reason where one of them
    cannot be served or the ground truth cannot be read.
    """
    lake = Lake(settings.lake_root)
    releases = [challenger, *others.values()]
    validation_users = choose(lake, day, most_users)
    if not validation_users.num_rows:
        return None
    with tempfile.TemporaryDirectory(prefix="headrace-comparison-") as name:
        folder = Path(name)
        test = folder / "taken.parquet"
        pq.write_table(validation_users, test)
        ground_truth = read_ground_truth(lake, day - timedelta(days=settings.training.holdout_days), test)
        _run(settings, day, releases, test, folder)
        lists = {
            task: _lists(folder, ground_truth, task, len(releases))
            for task in TASKS
            if len(ground_truth.tasks[task].users)
        }
        times = json.loads((folder / "latency.json").read_text(encoding="utf-8"))
    return ChampionChallenger(
        [
            compare(ground_truth, task, found[0], dict(zip(others, found[1:], strict=True)))
            for task, found in lists.items()
        ],
        list(others),
        {task: [_scores(ground_truth, task, each) for each in found] for task, found in lists.items()},
        {name: values for task, found in lists.items() for name, values in _slices(ground_truth, task, found).items()},
        [np.array(of_release["ranking"], np.float64) for of_release in times],
    )


def choose(lake: Lake, day: date, most: int) -> pa.Table:
    """The items that users took in the holdout, as purchases; of at most `most` users, the same ones every day."""
    rows = lake.read(GOLD_RANKING_EXAMPLES, day, ["user_id", "target_items"])
    fractions = validation_fractions(rows.column("user_id").to_pylist())
    chosen = rows.take(pa.array(np.argsort(fractions)[:most]))
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
    command = module_command("serving.offline.model_comparison", *given)
    done = subprocess.run(
        command, env=child_environment(settings), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
    )
    if done.returncode < 0:
        ended = signal.Signals(-done.returncode).name
        raise ComparisonKilledError(
            f"the comparison with the champion was killed ({ended})",
            "Is there enough memory? `headrace release register` and the next training compare again",
        )
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise HeadraceError("".join(last) or f"serving.offline.model_comparison ended with {done.returncode}")


def _lists(folder: Path, ground_truth: GroundTruth, task: Task, releases: int) -> list[Ints]:
    return [read_lists(folder / f"{number}_{task}.parquet", ground_truth, task) for number in range(releases)]


def _scores(ground_truth: GroundTruth, task: Task, lists: Ints) -> Floats:
    return score_lists(lists, ground_truth.tasks[task].targets, SHORT).ndcg


def _slices(ground_truth: GroundTruth, task: Task, lists: Sequence[Ints]) -> dict[str, list[Floats]]:
    of_task, statistics = ground_truth.tasks[task], ground_truth.statistics
    found: dict[str, list[Floats]] = {}
    for each in lists:
        scores = _scores(ground_truth, task, each)
        groups = {name: scores[members[of_task.users]] for name, members in statistics.user_groups.items()}
        of_items = item_group_scores(each, of_task.targets, statistics.item_groups, SHORT)
        groups |= {name: of_group.ndcg for name, of_group in of_items.items()}
        for name in SLICES:
            if name in groups:
                found.setdefault(f"{name}, {task}", []).append(groups[name])
    return found
