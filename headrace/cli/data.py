"""The data commands: import, generate, quality, rebuild, forget, evaluate."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from headrace.cli.arguments import Files, Mapping, Separator, repeated, run_and_exit, run_subprocess, today, yesterday
from headrace.errors import BadInputError
from headrace.settings import load_settings

data = typer.Typer()


@data.command("import")
def import_files(
    events: Files = [],  # noqa: B006 - Typer copies it
    items: Files = [],  # noqa: B006
    users: Files = [],  # noqa: B006
    names: Mapping = [],  # noqa: B006
    separator: Separator = "",
    dataset: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, metavar="FOLDER", help="Folder of a data set in a supported format."
        ),
    ] = None,
    scale: Annotated[float, typer.Option(min=0.1, help="With --dataset: the highest rating, which becomes 10.")] = 5,
    dates: Annotated[
        str | None,
        typer.Option(
            metavar="ORDER", help="With --dataset: day-first or month-first, where all invoice dates are ambiguous."
        ),
    ] = None,
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Day they are received, UTC; today if not given.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only report which rows would be accepted or refused, and why; write nothing."),
    ] = False,
) -> None:
    """Import your own events, items and user profiles.

    Events need event_id, event_type, user_id or session_id, item_id and timestamp (docs/event.schema.json has all
    fields); items need item_id; users need user_id, every other column becomes part of the profile. Rows that
    break the contract are kept in `bronze.rejected_events` with a reason that names row and field; the good rows
    of the same file are imported. Importing a file twice changes nothing.

    With --dry-run nothing is written. A table shows the rows, those refused by reason with the first of each,
    repeated event ids, and columns outside the contract. Exit code 1 if no row would be accepted.

    With --dataset the files need no names: `ratings`, `movies` and `users` of MovieLens (.dat or .csv), or
    invoice lines of Online Retail. The last line printed names the day of the last event: the day for `run daily`.

    Example: `headrace import --dataset ml-latest-small`

    Example: `headrace import --events sales.csv --items products.parquet --map customer=user_id --map sku=item_id`

    Example: `headrace import --dry-run --events sales.csv --map customer=user_id --map sku=item_id`
    """
    if dataset:
        folder = load_settings().home_folder / "import" / dataset.resolve().name
        adapted = [str(dataset), "--output", str(folder), "--scale", f"{scale:g}"]
        adapted += ["--dates", dates] if dates else []
        if failed := run_subprocess("jobs.batch.sources", *adapted):
            raise typer.Exit(failed)
        found = {name: [file] for name in ("events", "items", "users") if (file := folder / f"{name}.parquet").exists()}
        events, items, users = (
            [*given, *found.get(name, [])] for name, given in (("events", events), ("items", items), ("users", users))
        )
    if not (events or items or users):
        raise BadInputError("nothing to import", "Name files with --events, --items or --users, or a --dataset")
    for pair in names:
        theirs, _, ours = pair.partition("=")
        if not (theirs and ours):
            raise BadInputError(f"--map {pair}: expected THEIRS=OURS", "For example --map customer=user_id")
    if separator != "tab" and len(separator) > 1:
        raise BadInputError(f"--separator {separator}: expected one character, or `tab`", "For example --separator '~'")
    given = [*repeated("--events", events), *repeated("--items", items), *repeated("--users", users)]
    given += [f"--separator={separator}"] if separator else []
    when = f"{day or today():%Y-%m-%d}"
    job = ("jobs.batch.ingest.dry_run",) if dry_run else ("jobs.batch", "ingest,clean")
    run_and_exit(*job, *given, *repeated("--map", names), "--day", when)


@data.command()
def generate(
    users: Annotated[int, typer.Option(min=10, help="Number of users.")],
    items: Annotated[int, typer.Option(min=100, help="Number of items.")],
    events: Annotated[int, typer.Option(min=1, help="Number of events, exactly.")],
    output: Annotated[Path, typer.Option(metavar="FOLDER", help="A new folder.")],
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.")] = 1,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Length of the period.")] = 365,
    end: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day with events, UTC; yesterday if not given.")
    ] = None,
) -> None:
    """Generate a synthetic world: events, items and users as Parquet, with known preferences and propensities.

    The same numbers, seed and end give the same rows. The ground truth (latent factors, examination probability
    of each position) is in `truth/`, to evaluate models and estimators. Spark writes everything directly to disk, so
    that more events need no more memory.

    Example: `headrace generate --users 10000 --items 5000 --events 1000000 --seed 7 --output world`
    """
    sizes = [f"--{name}={value}" for name, value in (("users", users), ("items", items), ("events", events))]
    period = [f"--seed={seed}", f"--days={days}", f"--end={end or yesterday():%Y-%m-%d}"]
    run_and_exit("jobs.batch.synthetic.generate", *sizes, *period, "--output", str(output))


@data.command()
def quality(
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Day in UTC to check; yesterday if not given.")
    ] = None,
    against: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Day whose features to compare with; the live release's if not given."),
    ] = None,
) -> None:
    """Check a day's tables against their expectations, and its features against the training data.

    Exit code 1 if an expectation of severity `error` fails, with a message for each. The page
    `<home>/reports/quality/DAY.html` shows every check.

    Example: `headrace quality --day 2026-11-22`
    """
    given = ["--against", f"{against:%Y-%m-%d}"] if against else []
    run_and_exit("jobs.batch", "quality,drift", "--day", f"{day or yesterday():%Y-%m-%d}", *given)


@data.command()
def rebuild(
    layer: Annotated[Literal["silver"], typer.Argument(metavar="silver", help="The layer to make again.")],
) -> None:
    """Make silver again from all rows in bronze, after a table was damaged or lost, or the rules have changed.

    Events, bots, users, items, their states and the refused rows are replaced. It needs the lake for itself; if it is
    interrupted, the next `clean` completes it. Features of earlier days stay as they are.

    Example: `headrace rebuild silver`
    """
    del layer
    run_and_exit("jobs.batch", "rebuild", "--day", f"{today():%Y-%m-%d}")


@data.command()
def forget(
    user: Annotated[str, typer.Argument(metavar="USER", help="User id, or session:ID.")],
    check: Annotated[bool, typer.Option("--check", help="Remove nothing; exit code 1 if any data is left.")] = False,
) -> None:
    """Remove a user everywhere: tables with all their older versions, online store, topics, files.

    Prints what was removed at each location, and what is left and why. Later training sets exclude the user, and
    late arrivals from before the request are ignored. With --check every location is read, also files that no table
    version references; exit code 0 only if nothing is left.

    Example: `headrace forget 123`, then `headrace forget 123 --check`
    """
    run_and_exit(
        "jobs.batch", "forget", "--day", f"{today():%Y-%m-%d}", f"--user={user}", *(["--check"] if check else [])
    )


@data.command()
def evaluate(
    test: Annotated[
        Path | None,
        typer.Option(exists=True, help="Later events as ground truth; without --train, default: the lake's."),
    ] = None,
    train: Files = [],  # noqa: B006
    output: Annotated[
        Path | None, typer.Option(help="Parquet file for the lists; without --train: JSON file for the report.")
    ] = None,
    items: Files = [],  # noqa: B006
    users: Files = [],  # noqa: B006
    names: Mapping = [],  # noqa: B006
    k: Annotated[int, typer.Option(min=1, help="With --train: length of each list.")] = 500,
    exclude_own: Annotated[
        bool, typer.Option("--exclude-own", help="With --train: leave out items the user took before.")
    ] = False,
    day: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Without --train: day of the release; default: yesterday."),
    ] = None,
    require_floors: Annotated[
        bool, typer.Option("--require-floors", help="Without --train: exit code 1 if a baseline is better.")
    ] = False,
    segment: Annotated[
        list[str], typer.Option(help="Without --train: profile field to slice users by; may be given several times.")
    ] = [],  # noqa: B006
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Without --train: also fit every classical model, for the same table.")
    ] = False,
    slices: Annotated[bool, typer.Option("--slices", help="Without --train: also print the slices.")] = False,
    report: Annotated[Path | None, typer.Option(help="Without --train: folder for JSON, Markdown and plots.")] = None,
) -> None:
    """Measure quality on later events, over the whole catalogue.

    Without --train the release of a day is compared with the baselines: tables on stdout; JSON, Markdown and plots
    in `<home>/reports/evaluation/<release>` and in the release's run of MLflow. With --train the
    whole platform is fitted on those files alone, in a temporary folder, and the list of every user of the test
    file is written as Parquet (user_id, rank, item_id, score), so that any external metric can score it. User and item
    ids are enough: without times every event gets one at random, without types it is a like.

    Example: `headrace evaluate --day 2026-10-18 --test later.parquet`

    Example: `headrace evaluate --train before.csv --test after.csv --output lists.parquet --map customer=user_id`
    """
    if not train:
        if items or users or names or exclude_own:
            raise BadInputError("--items, --users, --map and --exclude-own need --train", "Add --train FILE")
        chosen = [*(["--output", str(output)] if output else []), *(["--require-floors"] if require_floors else [])]
        chosen += [*(["--report", str(report)] if report else []), *(["--slices"] if slices else [])]
        chosen += ["--baselines"] if baselines else []
        chosen += repeated("--segment", segment)
        later = ["--test", str(test)] if test else []
        run_and_exit("models.evaluation", "--day", f"{day or yesterday():%Y-%m-%d}", *later, *chosen)
    if output is None or test is None or day or require_floors or segment or slices or report or baselines:
        raise BadInputError(
            "--train needs --test and --output; no --day, --baselines, --require-floors, --segment, --slices, --report",
            "See --help",
        )
    given = [*repeated("--train", train), "--test", str(test), "--output", str(output)]
    given += [*repeated("--items", items), *repeated("--users", users), *repeated("--map", names), "--k", str(k)]
    run_and_exit("infra.evaluate_files", *given, *(["--exclude-own"] if exclude_own else []))
