"""Errors that a user can act on: what is wrong, where, and what to do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType


class HeadraceError(Exception):
    """A mistake or a missing part that a person can put right; the command line shows it without a stack trace.

    `problem` names the thing and the place ("items.parquet, row 3: 'price' is \"free\""), `hint` what to do about it.
    """

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(f"{problem}. {hint}" if hint else problem)
        self.problem = problem
        self.hint = hint


class BadInputError(HeadraceError):
    """Rows, files or arguments given by a user do not fit their contract."""


class ReleaseError(HeadraceError):
    """A release bundle is incomplete, changed or of another format: it is refused whole."""


class ServiceError(HeadraceError):
    """A part that should be running (broker, store, registry, service) does not answer."""


def reporting_errors(work: Callable[[], object], prefix: str = "") -> int:
    """Exit code of a command that does `work`: what it returns if that is an int, 0 if it returns anything else.

    1 if it raises, with one sentence on stderr after `prefix`: the error's own, or for one that nobody foresaw where
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
        from headrace.last_resort import unexpected

        print(f"{prefix}{unexpected(error)}", file=sys.stderr)
        return 1
    return result if isinstance(result, int) else 0


def _silent_about_ctrl_c(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
