"""Trying again: a service that is away for a while is waited for, with waits that double."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from headrace.errors import ServiceError

FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
_Result = TypeVar("_Result")


class UnavailableError(ServiceError):
    """A service does not answer now; it may later."""


def waits(seconds: float) -> Iterator[float]:
    """Waits in seconds, each twice the last up to a minute, `seconds` in all; none where that is 0."""
    wait, left = FIRST_WAIT_SECONDS, seconds
    while left > 0:
        yield min(wait, left)
        left -= wait
        wait = min(2 * wait, LONGEST_WAIT_SECONDS)


def with_retries(
    attempt: Callable[[], _Result], seconds: float, sleep: Callable[[float], None], say: Callable[[str], None]
) -> _Result:
    """What `attempt` returns; while it raises AwayError it is tried again after each of the `waits`.

    `say` gets a line before each wait. Raises the last AwayError, as a ServiceError that tells how long was waited.
    """
    for wait in waits(seconds):
        try:
            return attempt()
        except UnavailableError as error:
            say(f"{error.problem}; trying again in {wait:.0f} s")
            sleep(wait)
    try:
        return attempt()
    except UnavailableError as error:
        waited = f", {seconds:g} s of waiting included" if seconds else ""
        raise ServiceError(f"{error.problem}{waited}", error.hint) from None
