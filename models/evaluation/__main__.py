"""Judges a release on later events: `python -m models.evaluation --release R --day D --test FILE`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.table import Table

from headrace.errors import BadInputError, HeadraceError
from headrace.release import open_release
from headrace.releases import resolve_release
from headrace.settings import Settings, load_settings
from models.command import reporting_errors, write_json
from models.evaluation.comparison import LONG, Comparison, ModelScore, broken_floors, compare, read_lists
from models.evaluation.truth import Task, read_truth
from models.gold import Lake

TASKS: tuple[Task, ...] = ("all", "new")
_FILE_WIDTH = 130


def evaluate(settings: Settings, arguments: argparse.Namespace) -> list[Comparison]:
    """Compare on both tasks, print the table, write the report.

    Raises BadInputError for unusable files, HeadraceError where a floor is broken and floors are required.
    """
    release = open_release(arguments.release or resolve_release(settings))
    console = Console(stderr=True)
    with console.status("reading what users really took") as status, tempfile.TemporaryDirectory() as scratch:
        truth = read_truth(Lake(settings.lake_root), arguments.day, arguments.test)
        comparisons = []
        for task, given in zip(TASKS, (arguments.lists_all, arguments.lists_new), strict=True):
            status.update(f"task {task}: lists")
            lists = given or _write_lists(settings, release.folder, arguments, task, Path(scratch))
            status.update(f"task {task}: scoring")
            if len(truth.tasks[task].users):
                comparisons.append(compare(truth, task, read_lists(lists, truth, task)))
    _result_console().print(_table(comparisons))
    if arguments.output:
        report = {comparison.task: comparison.as_json() for comparison in comparisons}
        write_json(arguments.output, {"release_id": release.release_id, "day": str(arguments.day), "tasks": report})
    broken = broken_floors(comparisons)
    if broken and arguments.require_floors:
        raise HeadraceError(f"release {release.release_id} is below its floors: {'; '.join(broken)}")
    return comparisons


def _write_lists(settings: Settings, release: Path, arguments: argparse.Namespace, task: Task, scratch: Path) -> Path:
    output = scratch / f"{task}.parquet"
    command = [sys.executable, "-m", "serving.offline", "lists", "--release", str(release), "--day"]
    command += [str(arguments.day), "--k", str(LONG), "--users-from", str(arguments.test), "--output", str(output)]
    command += ["--exclude-own"] if task == "new" else []
    done = subprocess.run(
        command, env={**os.environ, **settings.as_environment()}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise BadInputError(f"the lists of task {task} could not be written: {''.join(last)}")
    return output


def _result_console() -> Console:
    """Stdout; wide enough for the table where nobody looks at a terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=_FILE_WIDTH)


def _table(comparisons: list[Comparison]) -> Table:
    table = Table(title="Whole-catalogue quality", caption="in brackets: 95 % intervals over users")
    for name in ("task", "model", "Recall@20", "nDCG@20", "Recall@500", "ours / model, nDCG@20"):
        table.add_column(name, justify="left" if name in ("task", "model") else "right")
    for comparison in comparisons:
        for name, score in comparison.scores.items():
            table.add_row(f"{comparison.task} ({comparison.users:,} users)", name, *_cells(score))
        table.add_section()
    return table


def _cells(score: ModelScore) -> tuple[str, str, str, str]:
    ratio, low, high = score.ndcg_ratio
    return (
        f"{score.recall_at_20:.4f} {_bounds(*score.recall_at_20_interval)}",
        f"{score.ndcg_at_20:.4f} {_bounds(*score.ndcg_at_20_interval)}",
        f"{score.recall_at_500:.4f}",
        f"{ratio:.3f} {_bounds(low, high)}",
    )


def _bounds(low: float, high: float) -> str:
    return f"({low:.3f}–{high:.3f})"


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m models.evaluation", description=__doc__)
    parser.add_argument("--release", type=Path, help="folder of the release; default: the one that serving would use")
    parser.add_argument("--day", type=date.fromisoformat, required=True, help="last day before the test events")
    parser.add_argument("--test", type=Path, required=True, help="Parquet file of events after that day")
    parser.add_argument("--lists-all", type=Path, help="lists made before, own items included")
    parser.add_argument("--lists-new", type=Path, help="lists made before, own items left out")
    parser.add_argument("--output", type=Path, help="JSON report to write")
    parser.add_argument("--require-floors", action="store_true", help="exit 1 if ours is below a floor")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """0 if everything went well, 1 with one sentence on stderr if not."""
    arguments = _arguments(argv)
    return reporting_errors(lambda: evaluate(load_settings(), arguments))


if __name__ == "__main__":
    sys.exit(main())
