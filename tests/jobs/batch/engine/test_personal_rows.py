"""No table that names people is passed over when one of them asks to be forgotten, and none names them its own way."""

from __future__ import annotations

import json
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import functions as F

from headrace.events import EARLIEST_TIMESTAMP, Event, parse_event
from headrace.forgotten import subject_hash
from headrace.tables import (
    BRONZE_EVENTS,
    BRONZE_ITEMS,
    BRONZE_USERS,
    FORGET_REQUESTS,
    QUALITY_RESULTS,
    REJECTED_EVENTS,
    SILVER_EVENTS,
    SILVER_USERS,
    TABLES,
    microseconds,
)
from jobs.batch.engine.lake import Lake
from jobs.batch.engine.personal_rows import PERSONAL, about, ever, of_the_forgotten
from jobs.batch.engine.received_people import Clock, contract_hash, is_forgotten
from jobs.batch.keeping.forget_rows import remove_rows, shows_one_of
from tests.jobs.batch.clean.test_bad_rows import GOOD, POISON
from tests.jobs.batch.worlds import AS_OF, collected, days_before, purchase, take_in

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
UNREADABLE = [
    '{"user_id": "anna", "item_id": "i1", broken',
    '{"user_id":anna,',
    '{"subject_id": " anna ", "item',
    'not UTF-8: {"user_id":"anna","item_id":"caf\\xe9"}',
    "2 fields, the header has 3: e3;anna",
    "quotes that do not match: e1, anna ,i1",
    "base64:eyJ1c2VyX2lkIjogImFubmEiLCAieCI6ICL/In0=",  # {"user_id": "anna", "x": "<a byte that is no text>"}
    '[{"user_id": "bert"}, {"user_id": "anna"}]',
    '{"reason": "malformed", "raw": "[{\\"user_id\\": \\"anna\\""}',
]
NOW = microseconds(AS_OF)


def test_every_table_with_a_column_of_people_or_of_raw_text_is_cleared() -> None:
    naming = {"user_id", "subject_id", "session_id", "raw", "samples"}
    tables = {table.path for table in TABLES if naming & set(table.schema.names)}
    assert tables - {BRONZE_ITEMS.path} == {table.path for table in PERSONAL} | {QUALITY_RESULTS.path}


@pytest.mark.parametrize("who", PEOPLE)
def test_a_raw_row_is_about_whom_the_contract_says(who: str) -> None:
    rest = json.dumps({name: value for name, value in GOOD.items() if name != "user_id"})[1:]
    raw = f"{who[:-1]}, {rest}"
    event = parse_event(raw, AS_OF)
    assert isinstance(event, Event)
    assert contract_hash(raw.encode()) == subject_hash(event.subject_id)


@pytest.mark.parametrize("raw", UNREADABLE)
def test_a_row_that_cannot_be_read_is_about_whoever_it_may_name(raw: str) -> None:
    assert contract_hash(raw.encode()) == ""
    assert is_forgotten(raw.encode(), NOW, Clock.EVENT, {subject_hash("anna"): NOW})
    assert not is_forgotten(raw.encode(), NOW, Clock.EVENT, {subject_hash("ann"): NOW})


def test_rows_that_are_no_events_do_not_stop_a_request_to_be_forgotten() -> None:
    raws = [message for message, _ in POISON.values() if message]
    assert [is_forgotten(raw, NOW, Clock.EVENT, {subject_hash("nobody"): NOW}) for raw in raws] == [False] * len(raws)
    assert is_forgotten(json.dumps(GOOD).encode(), NOW, Clock.EVENT, {subject_hash("u1"): NOW})


def test_a_sample_of_a_broken_row_has_ids_and_keys() -> None:
    sample = '{"user_id":"session:abc","day":"2026-11-20"}'
    assert shows_one_of(sample, ever(["session:abc"]))
    assert shows_one_of(sample, ever(["user:session:abc"]))
    assert not shows_one_of(sample, ever(["abc"]))


@pytest.fixture
def asked(lake: Lake) -> dict[str, Any]:
    """Two people asked, one with hundreds of sessions; one of them twice."""
    sessions = [f"session:s{number}" for number in range(500)]
    rows = [("1", AS_OF - timedelta(days=9)), *((each, AS_OF) for each in ("1", "anna", *sessions))]
    hashed = [(subject_hash(subject), at) for subject, at in rows]
    lake.append(lake.spark.createDataFrame(hashed, "subject_hash string, requested_at timestamp"), FORGET_REQUESTS)
    return dict(hashed)


def test_users_and_events_spell_an_id_alike_and_whoever_asked_leaves_no_row_in_any_spelling(
    lake: Lake, asked: dict[str, Any], tmp_path: Path
) -> None:
    ids: list[Any] = [1, 1.0, "1", " 1 ", "2", 2.0]
    later = purchase("later", "1", "i1", days_before(-1))
    events = [purchase(f"e{n}", each, "i1", days_before(1)) for n, each in enumerate(ids)]
    visits = [{**purchase(each, "", "i1", days_before(1)), "session_id": each} for each in ("s7", "t7")]
    given = {"events": [*events, *visits, later, *UNREADABLE], "users": [{"user_id": each, "n": 1} for each in ids]}
    asked_rows = lake.read(FORGET_REQUESTS).localCheckpoint()
    lake.overwrite(lake.read(FORGET_REQUESTS, -1), FORGET_REQUESTS, {})
    take_in(lake, tmp_path, "before", received=AS_OF + timedelta(days=2), **given)
    assert {row["user_id"] for row in collected(lake, SILVER_USERS)} == {"1", "2"}
    assert {row["subject_id"] for row in collected(lake, SILVER_EVENTS)} == {"1", "2", "session:s7", "session:t7"}

    assert remove_rows(lake, asked) == {
        "bronze.events": 4 + 1,
        "silver.events": 4 + 1,
        "silver.users": 1,
    }
    assert remove_rows(lake, {hashed: AS_OF + timedelta(days=2) for hashed in asked}) == {
        "bronze.events": 1 + len(UNREADABLE),
        "bronze.rejected_events": len(UNREADABLE),
        "bronze.users": 4,
        "silver.events": 1,
    }
    left = (BRONZE_EVENTS, BRONZE_USERS, REJECTED_EVENTS)
    assert [about(lake.read(each), PERSONAL[each], ever(["1", "anna"])).count() for each in left] == [0, 0, 0]
    assert [lake.read(each).count() for each in left] == [3, 2, 0]

    lake.append(asked_rows, FORGET_REQUESTS)  # a file that comes again loses the same rows on its way in
    given["events"].remove(later)
    take_in(lake, tmp_path, "again", received=AS_OF, **given)
    assert {row["subject_id"] for row in collected(lake, SILVER_EVENTS)} == {"2", "session:t7"}
    assert lake.read(BRONZE_USERS).count() == 4
    assert lake.read(REJECTED_EVENTS).count() == 0

    back = AS_OF + timedelta(
        days=2
    )  # what is known of a person who comes back is not removed as if it were known before
    take_in(lake, tmp_path, "back", received=back, users=[{"user_id": 1, "n": 2}])
    assert remove_rows(lake, asked) == {}
    started = {row["user_id"]: row["valid_from"].replace(tzinfo=UTC) for row in collected(lake, SILVER_USERS)}
    assert started == {"1": back, "2": EARLIEST_TIMESTAMP}


def test_rows_from_before_hashes_were_recorded_are_found_too(lake: Lake, tmp_path: Path) -> None:
    take_in(
        lake,
        tmp_path,
        "old",
        events=[purchase(f"e{n}", user, "i1", days_before(1)) for n, user in ((0, 1.0), (1, "2"))],
    )
    old = lake.read(BRONZE_EVENTS).withColumn("subject_hash", F.lit(None).cast("string"))
    theirs = about(old, PERSONAL[BRONZE_EVENTS], ever(["1"])).collect()
    assert [json.loads(row["raw"])["event_id"] for row in theirs] == ["e0"]
    records = old.withColumn("key", F.lit("2"))
    assert of_the_forgotten(records, Clock.NOTE, ever(["2"]), "key").count() == 2
