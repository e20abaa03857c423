"""The stream as Flink SQL: Kafka → valid events of interest → each once → the last ones of each user → the store."""

from __future__ import annotations

from headrace.events import (
    INTEREST_TYPES,
    MAX_ID_LENGTH,
    MAX_RATING,
    MAX_VALUE,
    NUMBER_PATTERN,
    SESSION_PREFIX,
    WHITESPACE,
)
from headrace.settings import Settings
from jobs.streaming.recent_events import EVENT_SEPARATOR, FIELD_SEPARATOR, HEARTBEAT

CONSUMER_GROUP = "headrace-stream"
STARTS = {"earliest": "earliest-offset", "committed": "group-offsets", "latest": "latest-offset"}
"""Kafka's start modes by what the command line calls them."""

_FIELD = f"U&'\\{ord(FIELD_SEPARATOR):04X}'"
_WHITESPACE = "U&'" + "".join(f"\\{ord(character):04X}" for character in WHITESPACE) + "'"
_EVENT = f"U&'\\{ord(EVENT_SEPARATOR):04X}'"


def statements(settings: Settings, start: str) -> list[str]:
    """The tables and views, in order; then `insertion()` can be run."""
    return [_events(settings, start), _HEARTBEAT, _DONE, _valid_events(), _UNIQUE_EVENTS, _recent(settings)]


def insertion() -> str:
    """The statement that is the job."""
    return "INSERT INTO done SELECT write_users(subject, recent) FROM recent_events"


def _events(settings: Settings, start: str) -> str:
    # Every field is text: a value of another type must not make its neighbours unreadable, and is judged below.
    return f"""
CREATE TEMPORARY TABLE events (
  event_id STRING, event_type STRING, user_id STRING, session_id STRING, item_id STRING,
  `timestamp` STRING, `value` STRING, price STRING,
  received_at TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL
) WITH (
  'connector' = 'kafka',
  'topic' = {_literal(settings.kafka.events_topic)},
  'properties.bootstrap.servers' = {_literal(settings.kafka.bootstrap_servers)},
  'properties.group.id' = '{CONSUMER_GROUP}',
  'properties.auto.offset.reset' = 'earliest',
  'scan.startup.mode' = '{STARTS[start]}',
  'format' = 'json',
  'json.ignore-parse-errors' = 'true'
)"""


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_HEARTBEAT = """
CREATE TEMPORARY TABLE heartbeat (beat BIGINT) WITH (
  'connector' = 'datagen', 'rows-per-second' = '1', 'fields.beat.kind' = 'random'
)"""

_DONE = "CREATE TEMPORARY TABLE done (written INT) WITH ('connector' = 'blackhole')"


def _valid_events() -> str:
    """The rules of `headrace.events` that need no clock; times are judged where they are parsed."""
    types = ", ".join(f"'{name}'" for name in sorted(INTEREST_TYPES))
    texts = ("event_id", "user_id", "session_id", "item_id", "`timestamp`")
    trimmed = ", ".join(f"NULLIF(TRIM(BOTH {_WHITESPACE} FROM {name}), '') AS {name}" for name in texts)
    short = " AND ".join(f"({name} IS NULL OR CHAR_LENGTH({name}) <= {MAX_ID_LENGTH})" for name in texts[:-1])
    return f"""
CREATE TEMPORARY VIEW valid_events AS
SELECT
  event_id,
  COALESCE(user_id, '{SESSION_PREFIX}' || session_id) AS subject,
  CONCAT_WS({_FIELD}, `timestamp`, CAST(received_at AS STRING), event_type, item_id, event_id) AS packed
FROM (SELECT {trimmed}, event_type, `value`, price, received_at FROM events)
WHERE event_type IN ({types})
  AND event_id IS NOT NULL AND COALESCE(user_id, session_id) IS NOT NULL AND item_id IS NOT NULL
  AND `timestamp` IS NOT NULL AND {short}
  AND POSITION({_FIELD} IN event_id || item_id) = 0 AND POSITION({_EVENT} IN event_id || item_id) = 0
  AND ({_value_rule()}) AND (price IS NULL OR price = '' OR {_number("price", f"BETWEEN 0 AND {MAX_VALUE}")})
"""  # noqa: S608  (constants of the contract, no input)


def _value_rule() -> str:
    return f"""CASE
      WHEN `value` IS NULL OR `value` = '' THEN event_type <> 'rating'
      WHEN event_type = 'rating' THEN {_number("`value`", f"BETWEEN 0 AND {MAX_RATING}")}
      WHEN event_type IN ('purchase', 'add_to_cart') THEN
        {_number("`value`", "> 0")} AND {_number("`value`", f"<= {MAX_VALUE}")}
      ELSE {_number("`value`", f"BETWEEN 0 AND {MAX_VALUE}")}
    END"""


def _number(name: str, condition: str) -> str:
    """Whether the text is a number that meets the condition. The cast alone would take `5d` and `Infinity`."""
    text = f"TRIM(BOTH {_WHITESPACE} FROM {name})"
    return f"COALESCE(REGEXP({text}, '^({NUMBER_PATTERN})$') AND TRY_CAST({text} AS DOUBLE) {condition}, FALSE)"


_UNIQUE_EVENTS = """
CREATE TEMPORARY VIEW unique_events AS
SELECT subject, packed
FROM (
  SELECT subject, packed, ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY arrival) AS occurrence
  FROM (SELECT *, PROCTIME() AS arrival FROM valid_events)
)
WHERE occurrence = 1
"""


def _recent(settings: Settings) -> str:
    # Heartbeats join before the window: the planner moves the function below a union that comes later, once a branch.
    before = settings.features.history_length - 1
    return f"""
CREATE TEMPORARY VIEW recent_events AS
SELECT subject, LISTAGG(packed, {_EVENT}) OVER (
  PARTITION BY subject ORDER BY arrival ROWS BETWEEN {before} PRECEDING AND CURRENT ROW
) AS recent
FROM (
  SELECT subject, packed, PROCTIME() AS arrival
  FROM (SELECT subject, packed FROM unique_events UNION ALL SELECT '{HEARTBEAT}', CAST(beat AS STRING) FROM heartbeat)
)
"""  # noqa: S608  (a number of the settings and constants)
