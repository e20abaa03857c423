"""Quality: every baseline, the two-tower alone and the whole pipeline in one table, with paired ratios.

    python -m benchmarks.quality [--home var] [--release FOLDER] [--without-spark]

Protocol: the demo's data (made by `make demo`): models are trained on the features' events, weeks 1 to 48; weeks 49 to
53 are the test. The catalogue is all items with an earlier event, ranked in full. Settings of EASE and personal
frequency were chosen on weeks 45 to 48 (`python -m benchmarks.quality.tuning`); docs/notes/quality.md says what else
was tried.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
from rich.console import Console

from benchmarks.report import report
from headrace.settings import Settings, load_settings
from models.baselines import ALL, IN_MEMORY, Baseline
from models.baselines.factors import FactorsConfig, ImplicitAls
from models.baselines.interface import best_of_each_row
from models.evaluation.baseline_lists import baseline_lists, known_interactions
from models.evaluation.comparison import Comparison, compare
from models.evaluation.ground_truth import GroundTruth, Task, read_ground_truth
from models.evaluation.lists_file import read_lists
from models.evaluation.model_score import LONG, SHORT
from models.evaluation.tables import all_tables, for_terminal
from models.metrics.ranking import score_lists
from models.metrics.resampling import paired_ratio
from models.training.gold import Lake
from serving.offline import lake as serving_lake
from serving.pipeline.recommender import load_recommender

TASKS: tuple[Task, ...] = ("all", "new")
TWO_TOWER = "two-tower alone"
SEARCHED: Mapping[type[Baseline], Callable[[], Baseline]] = {
    ImplicitAls: lambda: ImplicitAls(FactorsConfig(regularisation=30.0, alpha=0.3))
}
"""Settings that were found for this data (docs/notes/quality.md) and are not the defaults."""
Lists = npt.NDArray[np.int32]


def main() -> None:
    """Make all lists, score them, report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--home", type=Path, default=Path("var"), help="home of the demo (default var)")
    parser.add_argument("--release", type=Path, help="folder of the release; default: the demo's newest")
    parser.add_argument("--without-spark", action="store_true", help="leave Spark's ALS out")
    given = parser.parse_args()
    settings = load_settings().model_copy(update={"home": given.home.resolve()})
    imports = settings.home_folder / "imports"
    day = date.fromisoformat(json.loads((imports / "complete-journey-1-48" / "meta.json").read_text())["as_of_day"])
    test = imports / "complete-journey-49-53" / "events.parquet"
    release = given.release or max(path for path in settings.releases.iterdir() if path.is_dir())
    lake = Lake(settings.lake_root)
    ground_truth = read_ground_truth(lake, day, test)
    ours = _pipeline(settings, release, day, test, ground_truth)
    tower = _two_tower(settings, release, day, ground_truth)
    seconds: dict[str, float] = {}
    started = [time.perf_counter()]

    def note(model: Baseline) -> None:
        seconds[model.name] = round(time.perf_counter() - started[0], 1)
        started[0] = time.perf_counter()
        print(f"{model.name}: fitted and ranked in {seconds[model.name]} s", flush=True)

    models = [SEARCHED.get(make, make)() for make in (IN_MEMORY if given.without_spark else ALL)]
    others = baseline_lists(ground_truth, TASKS, known_interactions(lake, day), models, note)
    comparisons = [compare(ground_truth, task, ours[task], {TWO_TOWER: tower[task], **others[task]}) for task in TASKS]
    for rows in all_tables(comparisons)[:2]:
        Console(width=140).print(for_terminal(rows))
    lists = {task: {"ours": ours[task], TWO_TOWER: tower[task], **others[task]} for task in TASKS}
    bars = _bars(ground_truth, comparisons, lists)
    for bar in bars:
        print(f"{'met    ' if bar['met'] else 'missed '} {bar['name']}: {bar['ours']:.4f}, {bar['goal']}", flush=True)
    scores = comparisons[0].scores
    report(
        name="quality",
        ours=round(scores["ours"].ndcg_at_20, 4),
        peer=round(scores["personal + EASE"].ndcg_at_20, 4),
        peer_name="personal frequency + 0.3 × EASE, task all, nDCG@20",
        ratio=scores["personal + EASE"].ndcg_ratio[0],
        goal="every bar",
        met=all(bar["met"] for bar in bars),
        release=release.name,
        bars=bars,
        seconds_of_baselines=seconds,
        settings_of_baselines={model.name: _settings_of(model) for model in models},
        memory_at_the_end_gib=round(psutil.Process().memory_info().rss / 2**30, 2),
        tasks={comparison.task: _short(comparison) for comparison in comparisons},
    )


def _pipeline(settings: Settings, release: Path, day: date, test: Path, ground_truth: GroundTruth) -> dict[Task, Lists]:
    """The lists of the whole release, by the code that serves requests."""
    with tempfile.TemporaryDirectory(prefix="headrace-quality-") as name:
        files = {task: Path(name) / f"{task}.parquet" for task in TASKS}
        command = [sys.executable, "-m", "serving.offline", "lists", "--release", str(release), "--day", str(day)]
        command += ["--k", str(LONG), "--users-from", str(test)]
        command += ["--output", str(files["all"]), "--output-new", str(files["new"])]
        subprocess.run(command, env={**os.environ, **settings.as_environment()}, check=True, stdout=sys.stderr)
        return {task: read_lists(files[task], ground_truth, task) for task in TASKS}


def _two_tower(settings: Settings, release: Path, day: date, ground_truth: GroundTruth) -> dict[Task, Lists]:
    """The whole catalogue by inner product alone; an unknown user gets the popular list of an empty history."""
    recommender = load_recommender(release, settings.serving.candidates)
    place = [recommender.catalogue.row_of[item] for item in ground_truth.catalogue.item_ids]
    vectors = recommender.catalogue.embeddings[place]
    rows = {user.user_id: user for user in serving_lake.users(settings, day)}
    known = [rows.get(user) for user in ground_truth.user_ids]
    histories = [user.history if user else [] for user in known]
    profiles = [user.profile if user else {} for user in known]
    of_users = recommender.tower.vectors(histories, profiles)
    lists: dict[Task, Lists] = {}
    for task in TASKS:
        users = ground_truth.tasks[task].users
        parts = []
        for start in range(0, len(users), 256):
            block = users[start : start + 256]
            scores = of_users[block] @ vectors.T
            if task == "new":
                for row, user in enumerate(block):
                    scores[row, ground_truth.own.of(int(user))] = -np.inf
            parts.append(best_of_each_row(scores.astype(np.float32), LONG))
        lists[task] = np.concatenate(parts)
    return lists


def _bars(
    ground_truth: GroundTruth, comparisons: list[Comparison], lists: dict[Task, dict[str, Lists]]
) -> list[dict[str, Any]]:
    """The goals, each with what was reached and the interval of the ratio."""
    of_all, of_new = (comparison.scores for comparison in comparisons)
    bars = []
    for scores, task, peer in ((of_all, "all", "personal + EASE"), (of_new, "new", "EASE × trend")):
        ratio, low, high = scores[peer].ndcg_ratio
        goal = f"ratio >= 1.05 to {peer}, lower bound > 1"
        bars.append(_bar(f"pipeline, {task}, nDCG@20", ratio, goal, ratio >= 1.05 and low > 1, [low, high]))
    targets = ground_truth.tasks["new"].targets
    recalls = [score_lists(lists["new"][name], targets, LONG).recall for name in (TWO_TOWER, "EASE × trend")]
    ratio, low, high = paired_ratio(*recalls)
    bars.append(_bar("two-tower, new, recall@500", ratio, "ratio >= 1.05 to EASE × trend", ratio >= 1.05, [low, high]))
    tower = of_new[TWO_TOWER]
    ndcgs = [score_lists(lists["new"][name], targets, SHORT).ndcg for name in (TWO_TOWER, "EASE")]
    ratio, low, high = paired_ratio(*ndcgs)
    bars.append(_bar("two-tower, new, nDCG@20", ratio, "ratio >= 1 to EASE", ratio >= 1, [low, high]))
    coverage = tower.coverage_at_20
    bars.append(_bar("two-tower, new, coverage@20", coverage, ">= 0.01", coverage >= 0.01, None))
    recall = of_all["ours"].recall_at_500
    bars.append(_bar("candidates, all, recall@500", recall, ">= 0.48", recall >= 0.48, None))
    return bars


def _bar(name: str, ours: float, goal: str, met: bool, interval: list[float] | None) -> dict[str, Any]:
    return {"name": name, "ours": ours, "interval": interval, "goal": goal, "met": bool(met)}


def _short(comparison: Comparison) -> dict[str, Any]:
    """Without slices and curves, which `headrace evaluate --baselines` reports."""
    content = comparison.as_json()
    for score in content["models"].values():
        del score["slices"], score["popularity_curve"]
    return content


def _settings_of(model: Baseline) -> dict[str, Any]:
    config = getattr(model, "config", None)
    return config.model_dump() if config else {}


if __name__ == "__main__":
    main()
