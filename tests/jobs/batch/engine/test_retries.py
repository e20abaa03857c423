"""Waits double, end when they should, and only absence is waited for."""

from __future__ import annotations

import pytest

from headrace.errors import ServiceError
from jobs.batch.engine.retries import UnavailableError, with_retries


class Service:
    """Away for so many calls, then back."""

    def __init__(self, away: int) -> None:
        self.away = away
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.away:
            raise UnavailableError("nobody answers", "Start it")
        return "back"


def test_waits_double_up_to_a_minute_and_end_at_the_time_given() -> None:
    for seconds, waits in ((10, [1, 2, 4, 3]), (300, [1, 2, 4, 8, 16, 32, 60, 60, 60, 57]), (0, [])):
        slept: list[float] = []
        with pytest.raises(ServiceError):
            with_retries(Service(away=99), seconds, slept.append, lambda _: None)
        assert slept == waits


def test_it_is_tried_again_until_it_answers_and_each_wait_is_said() -> None:
    slept: list[float] = []
    said: list[str] = []
    assert with_retries(Service(away=2), 10, slept.append, said.append) == "back"
    assert slept == [1, 2]
    assert said == ["nobody answers; retrying in 1 s", "nobody answers; retrying in 2 s"]


def test_it_gives_up_with_one_sentence_after_the_last_wait() -> None:
    service = Service(away=9)
    with pytest.raises(ServiceError, match=r"^nobody answers after 3 s of retries\. Start it$") as gave_up:
        with_retries(service, 3, lambda _: None, lambda _: None)
    assert service.calls == 3
    assert not isinstance(gave_up.value, UnavailableError)


def test_another_error_is_not_waited_for() -> None:
    def broken() -> None:
        raise ServiceError("no such topic")

    with pytest.raises(ServiceError, match="no such topic"):
        with_retries(broken, 10, lambda _: pytest.fail("waited"), lambda _: None)
