"""No table that names people is passed over when one of them asks to be forgotten, and none names them its own way."""

from __future__ import annotations

import json

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from headrace.events import Event, parse_event
from headrace.forgotten import subject_hash
from headrace.tables import BRONZE_EVENTS, BRONZE_ITEMS, QUALITY_RESULTS, TABLES
from jobs.batch.engine.personal_rows import PERSONAL, of_before, subject_in
from tests.jobs.batch.clean.test_bad_rows import GOOD, POISON
from tests.jobs.batch.worlds import AS_OF

PEOPLE = [
    *('{"user_id": 123}', '{"user_id": 123.0}', '{"user_id": "123.0"}', '{"user_id": 1e2}', '{"user_id": " u\\t"}'),
    *('{"user_id": "session:abc"}', '{"user_id": "user:abc"}', '{"user_id": "a\\"b\\\\c"}', '{"user_id": "true"}'),
    *('{"session_id": "abc"}', '{"user_id": null, "session_id": 5}', '{"user_id": "", "session_id": "abc"}'),
    *(
        '{"user_id": true, "session_id": "abc"}',
        '{"user_id": 1.5, "session_id": "abc"}',
        '{"user_id": 12345678901234567891}',
    ),
    '{"user_id": {"a": 1}, "session_id": "abc"}',
]


def test_every_table_with_a_column_of_people_or_of_raw_text_is_cleared() -> None:
    naming = {"user_id", "subject_id", "session_id", "raw", "samples"}
    tables = {table.path for table in TABLES if naming & set(table.schema.names)}
    assert tables - {BRONZE_ITEMS.path} == {table.path for table in PERSONAL} | {QUALITY_RESULTS.path}


def test_a_raw_row_is_about_whom_the_contract_says(spark: SparkSession) -> None:
    rest = json.dumps({name: value for name, value in GOOD.items() if name != "user_id"})[1:]
    raws = [f"{who[:-1]}, {rest}" for who in PEOPLE]
    rows = spark.createDataFrame([(raw,) for raw in raws], "raw string").select(F.expr(subject_in("raw"))).collect()
    events = [parse_event(raw, AS_OF) for raw in raws]
    assert [row[0] for row in rows] == [event.subject_id if isinstance(event, Event) else event for event in events]


def test_rows_that_are_no_events_do_not_stop_a_request_to_be_forgotten(spark: SparkSession) -> None:
    raws = [(message.decode(errors="replace"), AS_OF) for message, _ in POISON.values() if message]
    rows = spark.createDataFrame([*raws, (json.dumps(GOOD), AS_OF)], "raw string, received_at timestamp")
    about_them = of_before(PERSONAL[BRONZE_EVENTS], {subject_hash("u1"): AS_OF})
    assert json.dumps(GOOD) in [row["raw"] for row in rows.where(about_them).collect()]
