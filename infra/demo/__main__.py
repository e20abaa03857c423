"""`make demo`: run every service on a retailer's year of purchases and show the results.

Weeks 1 to 48 are imported and trained on; weeks 49 to 53 are only used for display and evaluation.
"""

from __future__ import annotations

import json
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from headrace.machine.last_resort import reporting_errors
from headrace.machine.ports import service_address
from headrace.settings import Settings, load_settings
from infra.demo import households, live
from infra.demo.memory import PeakMemory
from infra.demo.steps import Steps
from infra.local import airflow_home, services

QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"
"""Spark's Java compiles quickly instead of well: the better compiler takes a third of the import's CPU for itself."""
REPLAYED = 300
"""Households whose first later purchase is replayed through the stream to measure its latency."""


def main(
    exit_after: Annotated[
        bool, typer.Option("--exit", help="Stop the services at the end instead of waiting for Ctrl-C.")
    ] = False,
) -> None:
    """From raw purchases to live, explained recommendations, with every component of the platform."""
    console = Console()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    settings = load_settings()
    airflow = settings.airflow.model_copy(update={"retries": 0})  # somebody is watching: a failed step says so at once
    settings = settings.model_copy(update={"airflow": airflow})
    steps = Steps(settings, console)
    try:
        with PeakMemory(settings.home_folder) as peak:
            _build(steps)
            _serve(steps)
        console.print(steps.table_of_times())
        console.print(f"Peak memory of all processes together: {peak}")
        _where_next(console, settings)
        if not exit_after:
            console.print("All services run until Ctrl-C.")
            signal.pause()
    except KeyboardInterrupt:
        console.print()
    finally:
        _stop(console, settings)


def _data(settings: Settings, weeks: str) -> Path:
    return settings.home_folder / "imports" / f"complete-journey-{weeks}"


def _day(settings: Settings) -> str:
    meta = json.loads((_data(settings, "1-48") / "meta.json").read_text(encoding="utf-8"))
    return str(meta["as_of_day"])


def _build(steps: Steps) -> None:
    settings = steps.settings
    today = str(datetime.now(UTC).date())
    training, later = _data(settings, "1-48"), _data(settings, "49-53")
    with steps.step("Check this machine"):
        steps.run("headrace", "doctor")
    with steps.step("Map the retailer's year to events, import weeks 1 to 48 (Spark); start Kafka, Valkey and MLflow"):
        steps.together(lambda: _import(steps, training, today), lambda: _foundation(steps, later, today))
    with steps.step("Run the daily DAG in Airflow: features, training, release, online store"):
        steps.run("headrace", "run", "daily", "--day", _day(settings))
    with steps.step("Measure the release on weeks 49 to 53, full catalogue; start the stream (Flink) and the service"):
        evaluate = ("headrace", "evaluate", "--day", _day(settings), "--test", str(later / "events.parquet"))
        steps.together(
            lambda: steps.run(*evaluate, "--require-floors"), lambda: services.up(settings, ["stream", "serving"])
        )


def _import(steps: Steps, training: Path, today: str) -> None:
    _map(steps, "1-48", training, today)
    files = [f"--{name}={training / name}.parquet" for name in ("events", "items", "users")]
    steps.run("headrace", "import", *files, "--day", today, HEADRACE_SPARK__JAVA_OPTIONS=QUICK_JAVA)


def _foundation(steps: Steps, later: Path, today: str) -> None:
    """What the steps after the import need; sequential, in parallel with it, so that two cores and 8 GiB are enough."""
    steps.run("headrace", "up")
    with airflow_home.for_a_run(steps.settings) as database:
        airflow_home.prepare(steps.settings, database)
    _map(steps, "49-53", later, today)


def _map(steps: Steps, weeks: str, folder: Path, today: str) -> None:
    steps.run("jobs.batch.sources.complete_journey", "--weeks", weeks, "--end", today, "--output", str(folder))


def _serve(steps: Steps) -> None:
    settings, console = steps.settings, steps.console
    service = service_address(settings)
    training, later = _data(settings, "1-48"), _data(settings, "49-53")
    bought = households.later_purchases(later / "events.parquet")
    titles = households.titles_of(training / "items.parquet")
    shown = households.three_households(bought)
    with steps.step("Recommendations for three households, compared with their later purchases"):
        for user in shown:
            households.show_household(console, households.ask(service, user), titles, bought[user])
    with steps.step("Live: a few events change one household's vector and list"):
        before = {entry["item_id"] for entry in households.ask(service, shown[1])["recommendations"]}
        fresh = [purchase.item_id for purchase in bought[shown[1]] if purchase.item_id not in before]
        change = live.change_household(settings, service, shown[1], list(dict.fromkeys(fresh))[:3])
        _show_change(console, change, titles, shown[1])
    with steps.step(f"Live: {REPLAYED} real later purchases through the stream"):
        replayed = [purchases[0] for user, purchases in sorted(bought.items()) if user != shown[1]][:REPLAYED]
        seconds = live.replay_latencies(settings, service, replayed)
        p50, p99 = np.percentile(seconds * 1000, [50, 99])
        console.print(f"From POST to the new vector in the store: p50 {p50:.0f} ms, p99 {p99:.0f} ms")
    steps.run("headrace", "recommend", shown[1], "--limit", "5")


def _show_change(console: Console, change: live.Change, titles: dict[str, str], user: str) -> None:
    before = [entry["item_id"] for entry in change.before["recommendations"]]
    console.print(
        f"Household {user}: new vector in the store after {change.vector_seconds:.2f} s (cosine to the one after "
        f"the first event {change.cosine:.3f}), another list after {change.answer_seconds:.2f} s"
    )
    for rank, entry in enumerate(change.after["recommendations"], start=1):
        if entry["item_id"] not in before:
            console.print(f"  new at {rank:>2}: {titles.get(entry['item_id'], entry['item_id'])}: {entry['reason']}")


def _where_next(console: Console, settings: Settings) -> None:
    service = service_address(settings)
    console.rule("[bold]What next", align="left")
    console.print(f"app developer    {service}/docs and docs/how-to/serve.md")
    console.print(f"ML engineer      {settings.mlflow.tracking_uri} and docs/how-to/models.md")
    console.print(f"data engineer    `make airflow` (port {settings.airflow.port}) and docs/how-to/schedule.md")
    console.print("own data         `.venv/bin/headrace import --help`, docs/tutorial.md")


def _stop(console: Console, settings: Settings) -> None:
    console.print("Stopping what was started …")
    services.down(settings)


if __name__ == "__main__":
    sys.exit(reporting_errors(lambda: typer.run(main), "✗ "))
