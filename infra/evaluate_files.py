"""`headrace evaluate --train FILE --test FILE --output FILE`: the whole platform on two files of events.

Fits on the events of one file, ranks the whole catalogue for every user of the other and writes the lists as Parquet
(`user_id, rank, item_id, score`), so that any external metric can score them. It runs the same Spark jobs,
trainings, release and recommender as the daily run, in a temporary folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.parquet as pq
import typer
from rich.console import Console

from headrace.errors import BadInputError, HeadraceError
from headrace.machine.last_resort import reporting_errors
from headrace.settings import PROJECT_ROOT, Settings, load_settings
from infra.fitting_settings import accepted, fitting
from infra.plain_files import completed, read_columns


def evaluate_files(
    train: Annotated[
        list[Path], typer.Option(help="Events: CSV, JSON Lines or Parquet; user_id and item_id are enough.")
    ],
    test: Annotated[Path, typer.Option(help="Events whose users get a list; only the user ids are read.")],
    output: Annotated[Path, typer.Option(help="Parquet file of the lists: user_id, rank (from 1), item_id, score.")],
    items: Annotated[list[Path] | None, typer.Option(help="Item metadata; ids alone are enough.")] = None,
    users: Annotated[list[Path] | None, typer.Option(help="User profiles.")] = None,
    map: Annotated[list[str] | None, typer.Option(help="Other column names, `theirs=ours`.")] = None,
    k: Annotated[int, typer.Option(min=1, help="Length of each list.")] = 500,
    exclude_own: Annotated[bool, typer.Option(help="Leave out items the user took before (task *new*).")] = False,
) -> None:
    """Fit on one file, rank the whole catalogue for every user of another."""
    console = Console(stderr=True)
    for file in [*train, test, *(items or []), *(users or [])]:
        if not file.exists():
            raise BadInputError(f"{file} does not exist", "Name a CSV, JSON Lines or Parquet file")
    with tempfile.TemporaryDirectory(prefix="headrace-evaluate-") as home:
        settings = load_settings().model_copy(update={"home": Path(home), "lake": ""})
        _fit_and_rank(settings, console, train, test, output, items or [], users or [], map or [], k, exclude_own)
    console.print(f"[green]✓[/] lists of {k} for every user of {test.name} are in {output}")


def _fit_and_rank(
    settings: Settings,
    console: Console,
    train: list[Path],
    test: Path,
    output: Path,
    items: list[Path],
    users: list[Path],
    names: list[str],
    k: int,
    exclude_own: bool,
) -> None:
    def run(step: str, *arguments: str) -> None:
        console.print(f"[bold]{step}[/]")
        environment = {**os.environ, **settings.as_environment()}
        done = subprocess.run([sys.executable, "-m", *arguments], cwd=PROJECT_ROOT, env=environment, check=False)
        if done.returncode != 0:
            raise HeadraceError(f"`{step}` failed", "Its reason is above")

    theirs = {name: ours for name, _, ours in (pair.partition("=") for pair in names)}
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    events = completed(train, theirs, Path(settings.home), today)
    given = [f"--events={file.resolve()}" for file in events.files]
    given += [f"--items={file.resolve()}" for file in items] + [f"--users={file.resolve()}" for file in users]
    given += [f"--map={name}" for name in names]
    run("Reading the events", "jobs.batch", "ingest,clean", "--day", str(datetime.now(UTC).date()), *given)
    found = accepted(settings)
    settings = fitting(settings, found, without_times=events.without_times, ids_alone=not items)
    day = str(found.last)
    folder = settings.training_folder / "{day}"
    run("Computing features and training sets", "jobs.batch", "features,training_sets", "--day", day, "--holdout")
    run("Training the two-tower", "models.train_retrieval", "--day", day)
    run(
        "Generating candidates for the ranker",
        *("serving.offline", "candidates", "--earlier", "--release", str(folder / "retrieval_holdout"), "--day", day),
        *("--output", str(folder / "ranking_candidates.parquet")),
    )
    run("Training the ranker", "models.train_ranker", "--day", day)
    run("Building the release", "models.build_release", "--day", day, "--no-register")
    release = next(path for path in settings.releases.iterdir() if path.is_dir() and not path.name.startswith("."))
    run(
        "Ranking the whole catalogue",
        *("serving.offline", "lists", "--release", str(release), "--day", day, "--k", str(k)),
        *("--users-from", str(_users_of(test, names, Path(settings.home))), "--output", str(output.resolve())),
        *(["--exclude-own"] if exclude_own else []),
    )


def _users_of(test: Path, names: list[str], folder: Path) -> Path:
    """A Parquet file with the user ids of the test file. Raises BadInputError if it has none."""
    theirs = {name: ours for name, _, ours in (pair.partition("=") for pair in names)}
    users = read_columns(test, theirs, ["user_id"]).column("user_id").drop_null().unique()
    file = folder / "users.parquet"
    pq.write_table(pa.table({"user_id": users}), file)
    return file


if __name__ == "__main__":
    sys.exit(reporting_errors(lambda: typer.run(evaluate_files), "✗ "))
