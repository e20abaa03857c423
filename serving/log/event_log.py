"""Kafka as the service sees it: events are acknowledged before they are accepted; notes are sent and forgotten."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from headrace.errors import ServiceError
from headrace.settings.engines import KafkaSettings
from serving.log.metrics import NOTES_DROPPED

LOG = logging.getLogger(__name__)
_POLL_SECONDS = 0.2
_REPORT_SECONDS = 1.0
"""The broker's answer, or that there is none, is known so long after the timeout at the latest."""
_EVENTS_KBYTES = 131_072
_NOTES_KBYTES = 32_768
"""What may wait in memory for an unavailable broker; more is refused or dropped at once."""


class EventLog:
    """Two producers: an idempotent one for events, a cheap one for notes (impressions, dead letters)."""

    def __init__(self, settings: KafkaSettings, timeout_ms: int) -> None:
        self._topic = settings.events_topic
        shared = {"bootstrap.servers": settings.bootstrap_servers, "message.timeout.ms": timeout_ms, "log_level": 2}
        self._event_settings = {
            **shared,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 1,
            "queue.buffering.max.kbytes": _EVENTS_KBYTES,
        }
        notes = {**shared, "acks": 1, "linger.ms": 50, "queue.buffering.max.kbytes": _NOTES_KBYTES}
        self._deadline = timeout_ms / 1000 + _REPORT_SECONDS
        self._events = Producer(self._event_settings, logger=LOG)
        self._notes = Producer(notes, logger=LOG)
        self._open = True
        self._poller = threading.Thread(target=self._poll, name="event-log", daemon=True)
        self._poller.start()

    async def append(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Send events, each with its subject as key, and wait until every one is acknowledged by all replicas.

        The events of one subject stay in order.

        Raises ServiceError if the broker does not acknowledge in time: some may have been written all the same, which
        does no harm when they are sent again, because their ids are the same.
        """
        delivery, producer = _Delivery(len(messages)), self._events
        try:
            for subject_id, event in messages:
                producer.produce(self._topic, value=event, key=subject_id, on_delivery=delivery.report)
            failure = await asyncio.wait_for(delivery.done, self._deadline)
        except (BufferError, KafkaException) as error:
            failure = error.args[0]
        except TimeoutError:
            failure = "no report in time"
        if failure is not None:
            self._renew_if_fatal(producer, failure)
            LOG.warning("events not acknowledged: %s", failure)
            raise ServiceError(
                "the event log did not acknowledge the events", "Send them again: the same ids change nothing"
            )

    def note(self, topic: str, key: str, value: bytes) -> None:
        """Send without waiting; counted if it has to be dropped."""
        try:
            self._notes.produce(topic, value=value, key=key, on_delivery=_count_lost)
            self._notes.poll(0)
        except (BufferError, KafkaException):
            NOTES_DROPPED.inc()

    def close(self) -> None:
        """Send what is still waiting, for at most a second."""
        self._open = False
        self._poller.join()
        self._notes.flush(1)

    def _poll(self) -> None:
        while self._open:
            self._events.poll(_POLL_SECONDS)

    def _renew_if_fatal(self, producer: Producer, failure: object) -> None:
        """A producer takes nothing more after a fatal error; who else waits for its reports gets them at once."""
        if isinstance(failure, KafkaError) and failure.fatal() and producer is self._events:
            LOG.error("the event producer is replaced: %s", failure)
            self._events = Producer(self._event_settings, logger=LOG)
            producer.purge(blocking=False)
            threading.Thread(target=producer.flush, args=(self._deadline,), daemon=True).start()


class _Delivery:
    """Waits for the reports of one body's events, which come in on the polling thread."""

    def __init__(self, expected: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._missing = expected
        self._error: KafkaError | None = None
        self.done: asyncio.Future[KafkaError | None] = self._loop.create_future()

    def report(self, error: KafkaError | None, _: Message) -> None:
        self._error = self._error or error
        self._missing -= 1
        if self._missing == 0:
            self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        if not self.done.done():  # the request may have been given up
            self.done.set_result(self._error)


def _count_lost(error: KafkaError | None, _: Message) -> None:
    if error is not None:
        NOTES_DROPPED.inc()
