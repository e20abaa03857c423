"""Errors that a user can act on: what is wrong, where, and what to do."""

from __future__ import annotations


class HeadraceError(Exception):
    """An error that the user can fix; the command line shows it without a stack trace.

    `problem` names the object and the location ("items.parquet, row 3: 'price' is \"free\""), `hint` how to fix it.
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
    """A service that should be running (broker, store, registry, HTTP service) is not reachable."""
