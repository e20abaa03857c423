"""Subprocesses of the command line: other packages run as `python -m package`, and are never imported."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from headrace.errors import HeadraceError
from headrace.machine.java import java_home
from headrace.settings import Settings


def child_environment(settings: Settings) -> dict[str, str]:
    """This process's environment with the settings and the Java to use, for any child process."""
    environment = {**os.environ, **settings.as_environment()}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # without cached bytecode the engines start five times slower
    with suppress(HeadraceError):  # a command that needs Java reports the error itself
        environment["JAVA_HOME"] = str(java_home())
    return environment


def module_command(module: str, *arguments: str) -> list[str]:
    """Command line of a module; `-P` keeps folders of the working folder from shadowing ours."""
    return [sys.executable, "-P", "-m", module, *arguments]


def run_module(module: str, arguments: Sequence[str], settings: Settings) -> int:
    """Run a module in the foreground with its output passed through; returns its exit code.

    The subprocess gets Ctrl-C itself; SIGTERM is forwarded. If ended by signal n, the code is 128 + n, as in a shell.
    """
    child = subprocess.Popen(module_command(module, *arguments), env=child_environment(settings))
    before = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    try:
        code = _wait(child)
    finally:
        signal.signal(signal.SIGTERM, before)
    return code if code >= 0 else 128 - code


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Inside, SIGTERM raises KeyboardInterrupt as Ctrl-C does, so that what was started can be ended."""

    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _wait(child: subprocess.Popen[bytes]) -> int:
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue  # the child has it too and ends in its own time
