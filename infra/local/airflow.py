"""Airflow on one machine: run a DAG for a day, start the scheduler with its web page, or use Airflow's own commands.

python -m infra.local.airflow run daily --day 2026-11-22
python -m infra.local.airflow web
python -m infra.local.airflow cli backfill create --dag-id ingest --from-date 2026-11-01 --to-date 2026-11-07
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from datetime import date
from pathlib import Path

from headrace.machine.last_resort import reporting_errors
from headrace.settings import load_settings
from infra.local.airflow_home import DAGS, command, environment
from infra.local.airflow_run import run
from infra.local.airflow_web import web


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.local.airflow",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--dags", type=Path, default=DAGS, help="folder of the DAGs (default: the project's)")
    commands = parser.add_subparsers(dest="command", required=True)
    run_command = commands.add_parser("run", help="run one DAG for one day, in the foreground")
    run_command.add_argument("dag", help="id of the DAG, e.g. daily")
    run_command.add_argument("--day", type=date.fromisoformat, required=True, help="YYYY-MM-DD, in UTC")
    commands.add_parser("web", help="start the scheduler and its web page until Ctrl-C")
    cli_command = commands.add_parser("cli", help="one of Airflow's own commands on the same database")
    cli_command.add_argument("arguments", nargs=argparse.REMAINDER, help="e.g. dags list")
    chosen = parser.parse_args(arguments)
    try:
        return reporting_errors(lambda: _run(chosen))
    except KeyboardInterrupt:
        print("Interrupted", file=sys.stderr)
        return 130


def _run(chosen: argparse.Namespace) -> int:
    settings = load_settings()
    if chosen.command == "cli":
        variables = environment(settings, chosen.dags)
        return subprocess.run(command(*chosen.arguments), env=variables, check=False).returncode
    if chosen.command == "run":
        run(chosen.dag, chosen.day, settings, chosen.dags)
    else:
        web(settings, chosen.dags)
    return 0


if __name__ == "__main__":
    sys.exit(main())
