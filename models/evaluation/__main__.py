"""Evaluates a release on later events: `python -m models.evaluation --release R --day D --test FILE`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from pathlib import Path

from rich.console import Console

from headrace.errors import BadInputError, HeadraceError
from headrace.machine.last_resort import reporting_errors
from headrace.machine.subprocesses import child_environment, module_command
from headrace.release.bundle import open_release
from headrace.release.registry import resolve_release
from headrace.settings import Settings, load_settings
from models.baselines import IN_MEMORY
from models.evaluation.baseline_lists import baseline_lists, known_interactions
from models.evaluation.comparison import Comparison, broken_floors, compare
from models.evaluation.ground_truth import GroundTruth, Task, later_events, read_ground_truth
from models.evaluation.lists_file import read_lists
from models.evaluation.model_score import LONG
from models.evaluation.report import log_report, report_content, write_report
from models.evaluation.tables import all_tables, for_terminal
from models.metrics.ranking import Ints
from models.training.command import write_json
from models.training.gold import Lake

TASKS: tuple[Task, ...] = ("all", "new")
_FILE_WIDTH = 130


def evaluate(settings: Settings, arguments: argparse.Namespace) -> list[Comparison]:
    """Compare on both tasks, print the tables, write and log the report.

    Raises BadInputError for unusable files, HeadraceError where a floor is broken and floors are required.
    """
    release = open_release(arguments.release or resolve_release(settings))
    console = Console(stderr=True)
    with console.status("reading the ground truth") as status, tempfile.TemporaryDirectory() as scratch:
        test = arguments.test or later_events(Lake(settings.lake_root), arguments.day, Path(scratch))
        ground_truth = read_ground_truth(Lake(settings.lake_root), arguments.day, test, arguments.segment)
        status.update("lists")
        files = _lists(settings, release.folder, arguments, test, Path(scratch))
        status.update("baselines: fitting and ranking" if arguments.baselines else "scoring")
        others = _baselines(settings, arguments.day, ground_truth) if arguments.baselines else {}
        comparisons = []
        for task in TASKS:
            status.update(f"task {task}: scoring")
            if len(ground_truth.tasks[task].users):
                comparisons.append(
                    compare(ground_truth, task, read_lists(files[task], ground_truth, task), others.get(task))
                )
    for rows in all_tables(comparisons)[: None if arguments.slices else -1]:
        _result_console().print(for_terminal(rows))
    if arguments.output:
        write_json(arguments.output, report_content(release, arguments.day, comparisons))
    folder = arguments.report or settings.reports / "evaluation" / release.release_id
    write_report(folder, release, arguments.day, comparisons)
    console.print(f"report: {folder}; {log_report(settings, folder, release, comparisons)}", soft_wrap=True)
    broken = broken_floors(comparisons)
    if broken and arguments.require_floors:
        raise HeadraceError(f"release {release.release_id} is below its floors: {'; '.join(broken)}")
    return comparisons


def _lists(
    settings: Settings, release: Path, arguments: argparse.Namespace, test: Path, scratch: Path
) -> dict[Task, Path]:
    """A file of lists for each task: those of the arguments, or lists made by the release."""
    given: dict[Task, Path | None] = {"all": arguments.lists_all, "new": arguments.lists_new}
    files = {task: given[task] or scratch / f"{task}.parquet" for task in TASKS}
    if all(given.values()):
        return files
    make = partial(_make_lists, settings, release, arguments.day, test)
    with ThreadPoolExecutor(len(TASKS)) as threads:  # each waits for a process of its own
        list(threads.map(make, TASKS, (files[task] for task in TASKS)))
    return files


def _make_lists(settings: Settings, release: Path, day: date, test: Path, task: Task, output: Path) -> None:
    given = ["--release", str(release), "--day", str(day), "--k", str(LONG), "--users-from", str(test)]
    given += ["--output", str(output), *(["--exclude-own"] if task == "new" else [])]
    done = subprocess.run(
        module_command("serving.offline", "lists", *given),
        env=child_environment(settings),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise BadInputError(f"the lists could not be written: {''.join(last)}")


def _baselines(settings: Settings, day: date, ground_truth: GroundTruth) -> dict[Task, dict[str, Ints]]:
    """Lists of every classical model that runs in this process."""

    events = known_interactions(Lake(settings.lake_root), day)
    return baseline_lists(ground_truth, TASKS, events, [make() for make in IN_MEMORY])


def _result_console() -> Console:
    """Stdout; wide enough for the table if it is not a terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=_FILE_WIDTH)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m models.evaluation", description=__doc__)
    parser.add_argument("--release", type=Path, help="folder of the release; default: the one that serving would use")
    parser.add_argument("--day", type=date.fromisoformat, required=True, help="last day before the test events")
    parser.add_argument("--test", type=Path, help="Parquet file of events after that day; default: those in the lake")
    parser.add_argument("--lists-all", type=Path, help="existing lists, own items included")
    parser.add_argument("--lists-new", type=Path, help="existing lists, own items left out")
    parser.add_argument("--baselines", action="store_true", help="fit every baseline that needs no Spark, and compare")
    parser.add_argument("--segment", action="append", default=[], help="profile field to slice users by; may repeat")
    parser.add_argument("--slices", action="store_true", help="print the slices too; the report always has them")
    parser.add_argument("--output", type=Path, help="JSON report to write")
    parser.add_argument(
        "--report", type=Path, help="folder for JSON, Markdown and pictures; default: <home>/reports/evaluation/RELEASE"
    )
    parser.add_argument("--require-floors", action="store_true", help="exit 1 if ours is below a floor")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """0 on success, 1 with one sentence on stderr on an error."""
    arguments = _arguments(argv)
    return reporting_errors(lambda: evaluate(load_settings(), arguments))


if __name__ == "__main__":
    sys.exit(main())
