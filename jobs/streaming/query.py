"""The stream as Flink SQL: Kafka → valid events of interest → the last ones of each user → the store.

`valid_event` and `write_users` are vectorised Python functions: the contract itself validates the events.
"""

from __future__ import annotations

from headrace.machine.stream_state import CONSUMER_GROUP
from headrace.settings import Settings
from jobs.streaming.recent_events import EVENT_SEPARATOR, HEARTBEAT

STARTS = {"earliest": "earliest-offset", "committed": "group-offsets", "latest": "latest-offset"}
"""Kafka's start modes by their names on the command line."""

_SEPARATOR = f"U&'\\{ord(EVENT_SEPARATOR):04X}'"


def statements(settings: Settings, start: str) -> list[str]:
    """The tables and views, in order; then `insertion()` can be run."""
    return [_events(settings, start), _HEARTBEAT, _DONE, _VALID_EVENTS, _recent(settings)]


def insertion() -> str:
    """The INSERT statement of the job."""
    return "INSERT INTO done SELECT write_users(subject, recent) FROM recent_events"


def _events(settings: Settings, start: str) -> str:
    # As bytes: Flink's JSON reader accepts what the event contract refuses, and turns numbers and objects into texts.
    return f"""
CREATE TEMPORARY TABLE events (
  message BYTES,
  received_at TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL
) WITH (
  'connector' = 'kafka',
  'topic' = {_literal(settings.kafka.events_topic)},
  'properties.bootstrap.servers' = {_literal(settings.kafka.bootstrap_servers)},
  'properties.group.id' = '{CONSUMER_GROUP}',
  'properties.auto.offset.reset' = 'earliest',
  'scan.startup.mode' = '{STARTS[start]}',
  'format' = 'raw'
)"""


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_HEARTBEAT = """
CREATE TEMPORARY TABLE heartbeat (beat BIGINT) WITH (
  'connector' = 'datagen', 'rows-per-second' = '1', 'fields.beat.kind' = 'random'
)"""

_DONE = "CREATE TEMPORARY TABLE done (written INT) WITH ('connector' = 'blackhole')"


_VALID_EVENTS = """
CREATE TEMPORARY VIEW valid_events AS
SELECT event.subject AS subject, event.packed AS packed
FROM (SELECT valid_event(message, CAST(received_at AS STRING)) AS event FROM events)
WHERE event.packed IS NOT NULL
"""


def _recent(settings: Settings) -> str:
    # Heartbeats join before the window: the planner moves the function below a union that comes later, once a branch.
    before = settings.flink.carried_events - 1
    return f"""
CREATE TEMPORARY VIEW recent_events AS
SELECT subject, LISTAGG(packed, {_SEPARATOR}) OVER (
  PARTITION BY subject ORDER BY arrival ROWS BETWEEN {before} PRECEDING AND CURRENT ROW
) AS recent
FROM (
  SELECT subject, packed, PROCTIME() AS arrival
  FROM (SELECT subject, packed FROM valid_events UNION ALL SELECT '{HEARTBEAT}', CAST(beat AS STRING) FROM heartbeat)
)
"""  # noqa: S608  (a number of the settings and constants)
