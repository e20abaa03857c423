"""`headrace evaluate --train FILE --test FILE --output FILE`: the whole platform on two files of events.

Fits on the events of one file, ranks the whole catalogue for every user of the other and writes the lists as Parquet
(`user_id, rank, item_id, score`), so that any outside metric can judge them. It is the real path, in a folder of its
own that is removed afterwards: the same Spark jobs, trainings, release and recommender as every day.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import typer
from deltalake import DeltaTable
from rich.console import Console

from headrace.errors import BadInputError, HeadraceError
from headrace.settings import PROJECT_ROOT, Settings, load_settings
from headrace.settings_group import Group
from headrace.settings_jobs import TrainingSettings
from headrace.tables import SILVER_EVENTS
from infra.plain_files import completed, read_columns

AnyGroup = TypeVar("AnyGroup", bound=Group)

HOLDOUT_SHARE = 0.1
"""Share of the time covered by the file that is kept for the ranker, at most the `holdout_days` of the settings."""
WITHOUT_TIMES: Mapping[str, Any] = {
    "embedding_size": 64,
    "retrieval_negatives": "catalogue",
    "retrieval_optimiser": "adam",
    "retrieval_learning_rate": 0.002,
    "retrieval_temperature": 1.0,
    "retrieval_reorders": True,
    "repeat_weight": 0.0,
    "example_half_life_days": 1e6,
}
"""Where there is no order to learn from: chosen on MovieLens 100K (docs/benchmarks.md, Sequences)."""
IDS_ALONE: Mapping[str, Any] = {
    "id_dropout": 0.0,
    "neighbours": 2_000,
    "ranker_trees": 0,
    "ranker_learning_rate": 0.001,
    "ranker_epochs": 4,
}
"""Where moreover an item is nothing but its id: leaving it out teaches nothing, and there are no numbers for trees to
part; what is left to weigh is what the tower and the neighbours say."""
_LARGEST_CATALOGUE = 20_000
"""Items up to which the two-tower is compared with all of them in a step."""
_EXAMPLES_SEEN = 2_500_000
"""Examples that the two-tower sees where there is no order, in at most `_MOST_EPOCHS` passes."""
_MOST_EPOCHS = 30
_HISTORY_WITHOUT_TIMES = 100


def evaluate_files(
    train: Annotated[
        list[Path], typer.Option(help="Who took what: CSV, JSON Lines or Parquet; user_id and item_id will do.")
    ],
    test: Annotated[Path, typer.Option(help="Events whose users get a list; only the user ids are read.")],
    output: Annotated[Path, typer.Option(help="Parquet file of the lists: user_id, rank (from 1), item_id, score.")],
    items: Annotated[list[Path] | None, typer.Option(help="Item metadata; ids alone will do.")] = None,
    users: Annotated[list[Path] | None, typer.Option(help="User profiles.")] = None,
    map: Annotated[list[str] | None, typer.Option(help="Other column names, `theirs=ours`.")] = None,
    k: Annotated[int, typer.Option(min=1, help="Length of each list.")] = 500,
    exclude_own: Annotated[bool, typer.Option(help="Leave out what a user took before (task *new*).")] = False,
) -> None:
    """Fit on one file, rank the whole catalogue for every user of another."""
    console = Console(stderr=True)
    try:
        for file in [*train, test, *(items or []), *(users or [])]:
            if not file.exists():
                raise BadInputError(f"{file} does not exist", "Name a CSV, JSON Lines or Parquet file")
        with tempfile.TemporaryDirectory(prefix="headrace-evaluate-") as home:
            settings = load_settings().model_copy(update={"home": Path(home), "lake": ""})
            _fit_and_rank(settings, console, train, test, output, items or [], users or [], map or [], k, exclude_own)
    except HeadraceError as error:
        console.print(f"[red]✗[/] {error}")
        raise typer.Exit(1) from None
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
    first, middle, last = _days_of_events(settings)
    last = max(last, first + timedelta(days=1))
    if events.without_times:
        settings = _without_times(settings, ids_alone=not items)
    settings = settings.model_copy(update={"training": _fitting(settings.training, first, middle, last)})
    day = str(last)
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
    users = read_columns(test, theirs, ["user_id"]).column("user_id").cast(pa.string()).drop_null().unique()
    file = folder / "users.parquet"
    pq.write_table(pa.table({"user_id": users}), file)
    return file


def _fitting(training: TrainingSettings, first: date, middle: date, last: date) -> TrainingSettings:
    """Windows for events from `first` to `last`, half of them after `middle`: never shorter than the settings say."""
    window = max(training.retrieval_days, (last - middle).days + 1)
    return training.model_copy(
        update={
            "holdout_days": max(1, min(training.holdout_days, round((last - first).days * HOLDOUT_SHARE))),
            "retrieval_days": window,
            "example_half_life_days": max(training.example_half_life_days, window / 2),
        }
    )


def _without_times(settings: Settings, *, ids_alone: bool) -> Settings:
    """Fitting settings for events whose times say nothing, as many passes over them as they are few; what was set stays
    as it was set."""
    found = DeltaTable(f"{settings.lake_root}/{SILVER_EVENTS.path}").to_pyarrow_table(columns=["item_id"])
    items = len(found.column("item_id").unique())
    if items > _LARGEST_CATALOGUE:
        return settings
    epochs = max(1, min(_MOST_EPOCHS, round(_EXAMPLES_SEEN / max(1, found.num_rows))))
    training = {**WITHOUT_TIMES, **(IDS_ALONE if ids_alone else {}), "retrieval_epochs": epochs}
    return settings.model_copy(
        update={
            "training": _where_default(settings.training, training),
            "features": _where_default(settings.features, {"history_length": _HISTORY_WITHOUT_TIMES}),
        }
    )


def _where_default(group: AnyGroup, update: Mapping[str, Any]) -> AnyGroup:
    fields = type(group).model_fields
    unset = {name: value for name, value in update.items() if getattr(group, name) == fields[name].default}
    return group.model_copy(update=unset)


def _days_of_events(settings: Settings) -> tuple[date, date, date]:
    """First, middle and last day of the accepted events. Raises BadInputError if there is none."""
    days = DeltaTable(f"{settings.lake_root}/{SILVER_EVENTS.path}").to_pyarrow_table(columns=["day"])
    if not days.num_rows:
        raise BadInputError(
            "no event of the training file was accepted",
            "See the reasons above; `headrace import --help` has the contract",
        )
    counts = days.group_by("day").aggregate([("day", "count")]).sort_by("day")
    each = counts.column("day").to_pylist()
    so_far = pc.cumulative_sum(counts.column("day_count")).to_numpy()
    return each[0], each[int((2 * so_far >= so_far[-1]).argmax())], each[-1]


if __name__ == "__main__":
    typer.run(evaluate_files)
