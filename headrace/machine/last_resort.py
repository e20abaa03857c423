"""Reports an unexpected error of a command in one sentence; the stack trace goes to a log."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from headrace.errors import HeadraceError
from headrace.settings import load_settings

LOG = "errors.log"
"""Name of the file below `<home>/logs` that traces are appended to, each under its time and command line."""
ON_STDERR = "HEADRACE_TRACES"
"""Environment variable that asks for traces on stderr, too, if it is `stderr`."""
IN_A_TASK = "AIRFLOW_CTX_DAG_ID"
"""Variable that Airflow sets for a task: its stderr is the task's log, where users expect traces."""
_LONGEST = 300


def reporting_errors(work: Callable[[], object], prefix: str = "") -> int:
    """Exit code of a command that does `work`: what it returns if that is an int, 0 if it returns anything else.

    1 if it raises, with one sentence on stderr after `prefix`: the error's own, or for an unexpected error where
    its stack trace is kept. Ctrl-C ends the process as a signal does, without a trace.
    """
    try:
        result = work()
    except HeadraceError as error:
        print(f"{prefix}{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        sys.excepthook = _silent_about_ctrl_c
        raise
    except Exception as error:
        print(f"{prefix}{unexpected(error)}", file=sys.stderr)
        return 1
    return result if isinstance(result, int) else 0


def _silent_about_ctrl_c(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


def unexpected(error: Exception) -> str:
    """One sentence that names command, error and the log that now has its trace.

    Where `home` is not writable the log is in the system's folder for temporary files.
    """
    trace = "".join(traceback.format_exception(error))
    if IN_A_TASK in os.environ or os.environ.get(ON_STDERR) == "stderr":
        print(trace, file=sys.stderr)
    return f"{command()} failed unexpectedly: {summary(error)}. {_where(_kept(trace))}"


def command() -> str:
    """What was started: a module as after `python -m`, or the name of the program."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return (spec.name if spec else Path(sys.argv[0]).name).removesuffix(".__main__")


def summary(error: Exception) -> str:
    """Type and reason in one line; for an error from Java or from a Spark worker, those of its cause."""
    lines = [line.strip() for line in str(error).split("\n") if line.strip()]
    if "Traceback (most recent call last):" in lines:
        lines = lines[lines.index("Traceback (most recent call last):") + 1 :]
        lines = [line for line in lines if line.partition(":")[0].endswith(("Error", "Exception"))] or lines
    elif len(lines) > 1 and lines[1].startswith(": "):  # py4j's first line only names the method that was called
        lines = [lines[1][2:]]
    reason = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return (reason if len(reason) <= _LONGEST else f"{reason[: _LONGEST - 1]}…").rstrip(". ")


def _kept(trace: str) -> Path | None:
    entry = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC  {' '.join([command(), *sys.argv[1:]])}\n{trace}\n"
    for folder in (_home() / "logs", Path(tempfile.gettempdir()) / "headrace-logs"):
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / LOG).open("a", encoding="utf-8", errors="backslashreplace") as log:
                log.write(entry)
            return folder / LOG
    return None


def _home() -> Path:
    try:
        return load_settings().home_folder
    except Exception:  # the settings may be what failed
        return Path(os.environ.get("HEADRACE_HOME", "var")).resolve()


def _where(log: Path | None) -> str:
    return f"The stack trace is at the end of {log}" if log else "No log could be written to keep its stack trace"
