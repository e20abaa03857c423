"""`python -m tests.long.stream_of_strangers`: the stream's query over 5,000 events/s, each of somebody who never comes
back; neither broker nor store is needed. It runs until it is killed."""

from __future__ import annotations

import sys
from typing import Any

import pandas as pd
from pyflink.table import DataTypes
from pyflink.table.udf import udf

from headrace.settings import load_settings
from jobs.streaming import query
from jobs.streaming.configuration import prepare_java, table_environment
from jobs.streaming.valid_events import valid_event_function

NAME = "stranger-"
"""Followed by the second they came, and a number."""
EVENTS_PER_SECOND = 5000
_NUMBERS = f"""
CREATE TEMPORARY TABLE numbers (n BIGINT) WITH (
  'connector' = 'datagen', 'rows-per-second' = '{EVENTS_PER_SECOND}',
  'fields.n.min' = '0', 'fields.n.max' = '1000000000000'
)"""
_EVENTS = f"""
CREATE TEMPORARY VIEW events AS
SELECT
  ENCODE(CONCAT('{{"event_id": "', CAST(n AS STRING), '", "event_type": "view", "user_id": "{NAME}',
    CAST(UNIX_TIMESTAMP() AS STRING), '-', CAST(n AS STRING),
    '", "item_id": "item-1", "timestamp": "2026-11-23T11:00:00Z"}}'), 'UTF-8') AS message,
  TO_TIMESTAMP_LTZ(1795435200000 + MOD(n, 2), 3) AS received_at
FROM numbers"""  # noqa: S608  (a constant)


def counted(subject: Any, _: Any) -> Any:
    """In place of the function that writes users."""
    return pd.Series([1] * len(subject), dtype="int32")


def main() -> int:
    """Submit and wait."""
    settings = load_settings()
    prepare_java(settings)
    environment = table_environment(settings)
    environment.create_temporary_function("valid_event", valid_event_function())
    environment.create_temporary_function("write_users", udf(counted, result_type=DataTypes.INT(), func_type="pandas"))
    for statement in (_NUMBERS, _EVENTS, *query.statements(settings, "earliest")[1:]):
        environment.execute_sql(statement)
    environment.execute_sql(query.insertion()).wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
