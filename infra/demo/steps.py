"""Timed steps of the demo: each prints its title and time, and fails with one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from headrace.errors import HeadraceError
from headrace.settings import PROJECT_ROOT, Settings


@dataclass
class Steps:
    """Runs the steps one after another and records their times."""

    settings: Settings
    console: Console
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Print a step's title, time it, print its end."""
        self.console.rule(f"[bold]{len(self.seconds) + 1}. {title}", align="left")
        start = time.monotonic()
        yield
        self.seconds[title] = time.monotonic() - start
        self.console.print(f"[green]✓[/] {title} [dim]({self.seconds[title]:.1f} s)[/]")

    def run(self, *arguments: str, **variables: str) -> None:
        """Run `python -m …` with these settings and environment variables, its output shown as it comes.

        Raises HeadraceError naming the command if it fails; it has printed the reason itself.
        """
        environment = {**os.environ, **self.settings.as_environment(), **variables}
        done = subprocess.run([sys.executable, "-m", *arguments], cwd=PROJECT_ROOT, env=environment, check=False)
        if done.returncode != 0:
            shown = " ".join(arguments)
            raise HeadraceError(f"`python -m {shown}` ended with exit code {done.returncode}", "Its reason is above")

    def together(self, *works: Callable[[], object]) -> None:
        """Run all works in parallel; raises the first error when all have ended."""
        with ThreadPoolExecutor(len(works)) as threads:
            for started in [threads.submit(work) for work in works]:
                started.result()

    def table_of_times(self) -> Table:
        """Seconds of each step and in all."""
        table = Table(title="Time of each step", title_justify="left")
        table.add_column("step")
        table.add_column("seconds", justify="right")
        for title, seconds in self.seconds.items():
            table.add_row(title, f"{seconds:.1f}")
        table.add_section()
        table.add_row("in all", f"{sum(self.seconds.values()):.1f}")
        return table
