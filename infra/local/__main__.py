"""`python -m infra.local up|down|status [PART…]`: what `headrace up`, `down` and `status` call."""

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
from infra.local.services import FOUNDATION, PARTS, down, status, up


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0, or 1 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    parser.add_argument("action", choices=["up", "down", "status"])
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; the first three if none is named"
    )
    options = parser.parse_args(arguments)
    return reporting_errors(lambda: _run(options.action, options.parts))


def _run(action: str, parts: list[str]) -> int:
    settings = load_settings()
    if action == "up":
        return _up(settings, parts)
    if action == "down":
        return _down(settings, parts)
    return _show(settings)


def _up(settings: Settings, parts: list[str]) -> int:
    if unknown := [name for name in parts if name not in PARTS]:
        raise HeadraceError(f"'{unknown[0]}' is no part", f"Known are {', '.join(PARTS)}")
    names = parts or list(FOUNDATION)
    began = time.monotonic()
    console = Console()
    console.print(f"Starting {', '.join(names)}; data and logs in {settings.home_folder}", soft_wrap=True)

    def report(record: RunRecord) -> None:
        seconds = time.monotonic() - began
        console.print(f"  ✓ {record.name} answers on {record.address} ({seconds:.1f} s)", soft_wrap=True)

    up(settings, names, report)
    return 0


def _down(settings: Settings, parts: list[str]) -> int:
    home = settings.home_folder
    stopped = [name for name in parts if stop(name, home)] if parts else down(settings)
    print(f"Stopped {', '.join(stopped)}" if stopped else "Nothing was running")
    return 0


def _show(settings: Settings) -> int:
    """Exit code 0 if everything known here is up, 1 otherwise."""
    table = Table("part", "state", "process", "address")
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
