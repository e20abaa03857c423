"""Retries with exponential backoff (`tenacity`) while a service is unavailable."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential

from headrace.errors import ServiceError

LONGEST_WAIT_SECONDS = 60.0
_BACKOFF = wait_exponential(multiplier=1, max=LONGEST_WAIT_SECONDS)
_Result = TypeVar("_Result")


class UnavailableError(ServiceError):
    """A service is unavailable now; a retry may succeed."""


def with_retries(
    attempt: Callable[[], _Result], seconds: float, sleep: Callable[[float], None], say: Callable[[str], None]
) -> _Result:
    """Result of `attempt`; on UnavailableError it is retried after 1, 2, 4 … 60 s, `seconds` in total.

    `say` gets a line before each wait. Raises the last UnavailableError as a ServiceError with the total wait.
    """

    def wait(state: RetryCallState) -> float:
        return min(_BACKOFF(state), seconds - state.idle_for)

    def give_up(state: RetryCallState) -> _Result:
        error = _error(state)
        waited = f" after {seconds:g} s of retries" if seconds else ""
        raise ServiceError(f"{error.problem}{waited}", error.hint) from None

    retrying = Retrying(
        retry=retry_if_exception_type(UnavailableError),
        wait=wait,
        stop=lambda state: state.idle_for >= seconds,
        sleep=sleep,
        before_sleep=lambda state: say(f"{_error(state).problem}; retrying in {state.upcoming_sleep:.0f} s"),
        retry_error_callback=give_up,
    )
    return retrying(attempt)


def _error(state: RetryCallState) -> ServiceError:
    error = state.outcome.exception() if state.outcome else None
    return error if isinstance(error, ServiceError) else ServiceError("the service is not reachable")
