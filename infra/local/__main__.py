"""`python -m infra.local up|down|status [SERVICE…]`: what `headrace up`, `down` and `status` call."""

from __future__ import annotations

import argparse
import sys
import time

from rich.console import Console
from rich.table import Table

from headrace.errors import HeadraceError
from headrace.machine.last_resort import reporting_errors
from headrace.machine.run_records import RunRecord
from headrace.settings import Settings, load_settings
from infra.local.processes import stop
from infra.local.services import FOUNDATION, SERVICES, down, status, up


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0, or 1 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    parser.add_argument("action", choices=["up", "down", "status"])
    parser.add_argument(
        "services", nargs="*", metavar="SERVICE", help=f"{', '.join(SERVICES)}; default: the first three"
    )
    options = parser.parse_args(arguments)
    return reporting_errors(lambda: _run(options.action, options.services))


def _run(action: str, names: list[str]) -> int:
    settings = load_settings()
    if action == "up":
        return _up(settings, names)
    if action == "down":
        return _down(settings, names)
    return _show(settings)


def _up(settings: Settings, names: list[str]) -> int:
    if unknown := [name for name in names if name not in SERVICES]:
        raise HeadraceError(f"'{unknown[0]}' is not a service", f"Services: {', '.join(SERVICES)}")
    names = names or list(FOUNDATION)
    began = time.monotonic()
    console = Console()
    console.print(f"Starting {', '.join(names)}; data and logs in {settings.home_folder}", soft_wrap=True)

    def report(record: RunRecord) -> None:
        seconds = time.monotonic() - began
        console.print(f"  ✓ {record.name} is ready on {record.address} ({seconds:.1f} s)", soft_wrap=True)

    up(settings, names, report)
    return 0


def _down(settings: Settings, names: list[str]) -> int:
    home = settings.home_folder
    stopped = [name for name in names if stop(name, home)] if names else down(settings)
    print(f"Stopped {', '.join(stopped)}" if stopped else "No service was running")
    return 0


def _show(settings: Settings) -> int:
    """Exit code 0 if all services are up, 1 otherwise."""
    table = Table("service", "state", "process", "address")
    rows = status(settings)
    for row in rows:
        colour = "green" if row.state == "up" else "red"
        table.add_row(row.name, f"[{colour}]{row.state}[/]", str(row.pid or ""), row.address)
    console = Console()
    console.print(table)
    console.print(f"Logs are in {settings.home_folder / 'logs'}", soft_wrap=True)
    return 0 if all(row.state == "up" for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
