"""Every wait of `POST /events` has an end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from starlette.requests import Request
from starlette.types import Message

from headrace.errors import ServiceError
from headrace.settings import Settings
from headrace.settings.engines import KafkaSettings
from serving.api import app
from serving.intake import process
from serving.intake.process import SMALL_BYTES, Intake, IntakeBusyError
from serving.log import event_log
from serving.log.event_log import EventLog
from serving.log.metrics import NOTES_DROPPED
from tests.conftest import free_ports
from tests.serving.test_intake import NOW, VIEW

NEVER_MS = 600_000


class BrokenProducer(Producer):
    """Fails for good at the key `fatal`, and forgets what has the key `lost`."""

    def produce(self, topic: str, **message: Any) -> None:
        if message["key"] == "fatal":
            raise KafkaException(KafkaError(KafkaError._FATAL, "fenced", True))
        if message["key"] != "lost":
            super().produce(topic, **message)


def log_without_broker(timeout_ms: int) -> EventLog:
    return EventLog(KafkaSettings(bootstrap_servers=f"127.0.0.1:{free_ports(1)[0]}"), timeout_ms)


def test_who_waits_when_the_producer_is_replaced_is_answered_and_the_new_one_is_replaced_by_its_own_failures_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_log, "Producer", BrokenProducer)

    async def scenario() -> None:
        log = log_without_broker(NEVER_MS)
        waiting = asyncio.create_task(log.append([("waiting", b"1")]))
        await asyncio.sleep(0)
        first = log._events
        with pytest.raises(ServiceError):
            await log.append([("fatal", b"2")])
        with pytest.raises(ServiceError):
            await waiting
        second = log._events
        assert second is not first
        log._renew_if_fatal(first, KafkaError(KafkaError._FATAL, "fenced", True))
        assert log._events is second
        log.close()

    asyncio.run(scenario())


def test_events_without_any_report_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "Producer", BrokenProducer)

    async def scenario() -> None:
        log = log_without_broker(timeout_ms=100)
        with pytest.raises(ServiceError, match="did not acknowledge"):
            await log.append([("lost", b"1")])
        log.close()

    asyncio.run(scenario())


def test_notes_for_a_broker_that_is_away_take_a_bounded_part_of_the_memory() -> None:
    log, before = log_without_broker(NEVER_MS), NOTES_DROPPED._value.get()
    for _ in range(100):
        log.note("notes", "key", bytes(900_000))
    assert NOTES_DROPPED._value.get() - before > 60
    log.close()


def test_a_body_that_does_not_arrive_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(app, "_BODY_SECONDS", 0.1)
    request = Request({"type": "http", "method": "POST", "headers": []}, nothing)
    assert asyncio.run(app._Service(Settings()).events(request)).status_code == 408


def test_a_body_whose_check_hangs_is_given_up_and_the_next_one_is_checked_by_a_new_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = json.dumps([VIEW] * (SMALL_BYTES // 100)).encode()

    async def scenario() -> None:
        intake = Intake(500, {})
        await intake.check(body, NOW)
        assert intake._process is not None
        os.kill(intake._process.pid, signal.SIGSTOP)
        monkeypatch.setattr(process, "CHECK_SECONDS", 0.1)
        with pytest.raises(IntakeBusyError):
            await intake.check(body, NOW)
        while not intake._process.ended:
            await asyncio.sleep(0.01)
        monkeypatch.undo()
        checked = await intake.check(body, NOW)
        assert len(checked.accepted) == SMALL_BYTES // 100
        await intake.stop()

    asyncio.run(scenario())
