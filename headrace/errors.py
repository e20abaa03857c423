"""Errors that a user can act on: what is wrong, where, and what to do."""

from __future__ import annotations


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
