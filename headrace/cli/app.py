"""The command line: `headrace COMMAND`. Other packages run as subprocesses, so that `--help` starts quickly."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from headrace.cli.arguments import run_and_exit, yesterday
from headrace.cli.data import data
from headrace.cli.release import releases
from headrace.machine.last_resort import reporting_errors
from headrace.settings import load_settings


class _Commands(TyperGroup):
    """Commands whose errors are one sentence, without a stack trace."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        commands = super().main
        sys.exit(reporting_errors(lambda: commands(*arguments, **options)))


app = typer.Typer(
    name="headrace",
    cls=_Commands,
    help="Recommendation platform: import, train, release, serve. Each command's --help has an example.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data)
app.add_typer(releases, name="release")

Parts = Annotated[list[str] | None, typer.Argument(metavar="PART", help="kafka, valkey, mlflow, stream, serving.")]


@app.command()
def doctor() -> None:
    """Check this machine for missing requirements, and print how to fix them.

    Checks Python, the packages, Java and its modules, the jars, CPU instructions, memory, disk, folders and
    ports. Exit code 1 if a requirement is missing or wrong.

    Example: `headrace doctor`
    """
    from headrace.cli import doctor as examination

    if not examination.report(examination.all_checks(load_settings()), Console()):
        raise typer.Exit(1)


@app.command()
def up(parts: Parts = None) -> None:
    """Start Kafka, Valkey and MLflow here and wait until they are ready.

    They listen on loopback only and keep running when this command ends; data, logs and process ids are in the
    folder of the setting `home`. Running services are not restarted. Name services to start only those; `stream`
    and `serving` are started only if named.

    Example: `headrace up`, then `headrace up stream serving`
    """
    run_and_exit("infra.local", "up", *(parts or []))


@app.command()
def down(parts: Parts = None) -> None:
    """Stop the services that `up` started, by process id; their data is kept.

    Without names every service of this home is stopped, the dependent ones first.

    Example: `headrace down`, or `headrace down serving`
    """
    run_and_exit("infra.local", "down", *(parts or []))


@app.command()
def status() -> None:
    """Show which services run, their addresses and their log files.

    Exit code 1 if Kafka, Valkey or MLflow is down, or if a service is not reachable (`silent`) or has ended by
    itself (`gone`).

    Example: `headrace status`
    """
    run_and_exit("infra.local", "status")


@app.command()
def run(
    dag: Annotated[str, typer.Argument(metavar="DAG", help="daily, ingest or maintenance.")],
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Day in UTC to compute; yesterday if not given.")
    ] = None,
) -> None:
    """Run a DAG through Airflow on this machine, for one day.

    `daily` computes features, trains, evaluates, registers a release and materialises the online store; `ingest`
    imports new events. Any day can be run again and gives the same tables.

    Example: `headrace run daily --day 2026-11-22`
    """
    run_and_exit("infra.local.airflow", "run", dag, "--day", f"{day or yesterday():%Y-%m-%d}")


@app.command()
def stream() -> None:
    """Run the streaming job in the foreground: events to user vectors in the online store.

    Continues where it stopped. Needs `headrace up` and a release. Ctrl-C ends it.

    Example: `headrace stream` (in the background: `headrace up stream`)
    """
    run_and_exit("jobs.streaming")


@app.command()
def serve() -> None:
    """Run the HTTP service in the foreground.

    Serves `GET /recommendations` and `POST /events`; `/docs` describes both. Ctrl-C ends it.

    Example: `headrace serve` (in the background: `headrace up serving`)
    """
    run_and_exit("serving")


@app.command()
def recommend(
    user: Annotated[str, typer.Argument(metavar="USER", help="User id.")],
    context: Annotated[str, typer.Option(help="homepage or related.")] = "homepage",
    item: Annotated[str | None, typer.Option(help="Item that a `related` list is about.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Length of the list.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print the service's answer as JSON.")] = False,
) -> None:
    """Ask the running service for one user's recommendations, with reasons.

    Example: `headrace recommend 123 --limit 10`, or `headrace recommend 123 --context related --item 42 --json`
    """
    from headrace.cli import service_client

    query = {"user_id": user, "context": context, "limit": str(limit), **({"item_id": item} if item else {})}
    body = service_client.recommendations(load_settings(), query)
    if as_json:
        typer.echo(body)
    else:
        service_client.show(body, Console())


@app.command("settings")
def show_settings() -> None:
    """Print the effective settings as TOML: defaults, profile, headrace.toml and environment merged.

    Example: `HEADRACE_PROFILE=cluster headrace settings`
    """
    from headrace.cli.reference import effective_text

    typer.echo(effective_text(load_settings()), nl=False)
