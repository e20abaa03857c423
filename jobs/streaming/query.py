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
from headrace.machine.stream_state import CONSUMER_GROUP
from headrace.settings import Settings
from jobs.streaming.recent_events import EVENT_SEPARATOR, FIELD_SEPARATOR, HEARTBEAT

STARTS = {"earliest": "earliest-offset", "committed": "group-offsets", "latest": "latest-offset"}
"""Kafka's start modes by what the command line calls them."""

_FIELD = f"U&'\\{ord(FIELD_SEPARATOR):04X}'"
_WHITESPACE = "U&'" + "".join(f"\\{ord(character):04X}" for character in WHITESPACE) + "'"
_EVENT = f"U&'\\{ord(EVENT_SEPARATOR):04X}'"
_SPACES = "".join(rf"\x{ord(character):02x}" for character in WHITESPACE)
_SEPARATORS = "".join(rf"\x{ord(character):02x}" for character in (FIELD_SEPARATOR, EVENT_SEPARATOR))


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
    """The rules of `headrace.events` that need no clock; times are judged where they are parsed.

    Judged on the text as it came and trimmed only where it is passed on: the planner repeats an expression at every
    place that names it, and trimming each id once a rule took a fifth of Java's time.
    """
    types = ", ".join(f"'{name}'" for name in sorted(INTEREST_TYPES))
    return f"""
CREATE TEMPORARY VIEW valid_events AS
SELECT
  {_trimmed("event_id")} AS event_id,
  CASE WHEN {_is_id("user_id")} THEN {_trimmed("user_id")} ELSE '{SESSION_PREFIX}' || {_trimmed("session_id")} END
    AS subject,
  CONCAT_WS({_FIELD},
    `timestamp`, CAST(received_at AS STRING), event_type, {_trimmed("item_id")}, {_trimmed("event_id")}) AS packed
FROM events
WHERE event_type IN ({types})
  AND {_is_id("event_id")} AND {_is_id("item_id")} AND `timestamp` IS NOT NULL
  AND CASE
    WHEN {_is_id("user_id")} THEN session_id IS NULL OR {_is_id("session_id")} OR {_is_blank("session_id")}
    ELSE (user_id IS NULL OR {_is_blank("user_id")}) AND {_is_id("session_id")}
  END
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
    return f"({_matches(name, NUMBER_PATTERN)} AND COALESCE(TRY_CAST({_trimmed(name)} AS DOUBLE) {condition}, FALSE))"


def _is_id(name: str) -> str:
    """Whether the text without the white space around it is 1 to `MAX_ID_LENGTH` characters, none a separator."""
    return _matches(
        name, rf"[^{_SPACES}{_SEPARATORS}]([^{_SEPARATORS}]{{0,{MAX_ID_LENGTH - 2}}}[^{_SPACES}{_SEPARATORS}])?"
    )


def _is_blank(name: str) -> str:
    return _matches(name, "")


def _matches(name: str, pattern: str) -> str:
    """Whether the text, white space around it apart, is what the pattern says; false for null."""
    return rf"COALESCE(REGEXP({name}, '\A[{_SPACES}]*({pattern})[{_SPACES}]*\z'), FALSE)"


def _trimmed(name: str) -> str:
    return f"TRIM(BOTH {_WHITESPACE} FROM {name})"


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
    before = settings.flink.carried_events - 1
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
