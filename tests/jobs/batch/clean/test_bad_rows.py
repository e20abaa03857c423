"""Nothing that is in bronze stops `clean`: the good rows are taken, the others kept with a reason."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headrace.events import columns as event_columns
from headrace.events import judge_event
from headrace.settings.jobs import CleanSettings
from headrace.tables import (
    BRONZE_EVENTS,
    BRONZE_ITEMS,
    BRONZE_USERS,
    REJECTED_EVENTS,
    SILVER_EVENTS,
    SILVER_ITEM_STATES,
    SILVER_ITEMS,
    SILVER_USERS,
    TIME,
)
from jobs.batch.clean.event_rules import checked
from jobs.batch.clean.item_rules import checked_items
from jobs.batch.clean.job import clean
from jobs.batch.engine.lake import Lake
from jobs.batch.engine.personal_rows import with_subjects
from jobs.batch.ingest.topic import from_kafka
from tests.jobs.batch.worlds import AS_OF, collected, days_before, purchase

GOOD = purchase("good", "u1", "i1", days_before(1))
RECORD = "value binary, topic string, partition int, offset bigint, timestamp timestamp"


def on_topic(lake: Lake, messages: Sequence[bytes | None], received: datetime = AS_OF) -> None:
    """Put messages into bronze as the ingest from Kafka does, offsets from 0."""
    records = [(message, "events", 0, offset, received) for offset, message in enumerate(messages)]
    lake.append_delivery(
        with_subjects(from_kafka(lake.spark.createDataFrame(records, RECORD)), BRONZE_EVENTS, {}), BRONZE_EVENTS
    )


def rows_of(lake: Lake, rows: Sequence[bytes | None]) -> DataFrame:
    """Bronze rows as they are, whatever the bytes, numbers from 1."""
    numbered = [(row, "file:rows#0123456789abcdef", 0, number, AS_OF) for number, row in enumerate(rows, 1)]
    columns = "raw binary, source string, source_partition int, source_offset long, received_at timestamp"
    given = lake.spark.createDataFrame(numbered, columns)
    return given.withColumn("raw", F.col("raw").cast("string")).withColumn("day", F.lit(AS_OF.date()))


def cleaned(lake: Lake) -> None:
    clean(lake, CleanSettings())


def refusals(lake: Lake) -> dict[int, str]:
    """Reason of each refused row by its place."""
    return {row["source_offset"]: row["reason"] for row in collected(lake, REJECTED_EVENTS, "source_offset")}


def event(**fields: Any) -> bytes:
    return json.dumps(GOOD | fields).encode()


def raw_event(name: str, value: str) -> bytes:
    """An event with a field as no JSON writer would write it."""
    return event()[:-1] + f', "{name}": {value}}}'.encode()


POISON = {
    "half a surrogate pair": (event(event_id="a\ud83d"), "malformed"),
    "half a surrogate pair in a name": (raw_event("\\udc00", "1"), "malformed"),
    "half a surrogate pair beside the contract": (event(note="\udc00"), "malformed"),
    "bytes that are no text": (b'{"event_id":"\xe9"}', "malformed"),
    "not even JSON": (b"\x00\xff\xfe", "malformed"),
    "nothing": (None, "malformed"),
    "a nested list": (raw_event("note", "[" * 5000 + "]" * 5000), "malformed"),
    "brackets only": (b"[" * 60_000, "malformed"),
    "beyond a double": (raw_event("value", "1e400"), "malformed"),
    "400 digits": (raw_event("value", "9" * 400), "malformed"),
    "5,000 digits": (raw_event("event_id", "9" * 5000), "malformed"),
    "300 digits": (raw_event("event_id", "9" * 300), "id_too_long"),
    "NaN": (raw_event("price", "NaN"), "malformed"),
    "Infinity": (raw_event("value", "-Infinity"), "malformed"),
    "a megabyte": (event(note="x" * 1_000_000), "too_large"),
    "a year before the calendar": (event(timestamp="0001-01-01T00:00:00+14:00"), "bad_timestamp"),
    "a year after it": (event(timestamp="9999-12-31T23:59:59-14:00"), "bad_timestamp"),
    "a time of 300 digits": (raw_event("timestamp", "9" * 300), "bad_timestamp"),
    "a number that takes long to refuse": (event(value="1" * 60_000 + "x"), "bad_value"),
}


def test_of_messages_on_the_topic_the_good_ones_are_taken_and_poison_is_refused_by_place(lake: Lake) -> None:
    on_topic(lake, [event(event_id="first"), *(message for message, _ in POISON.values()), event(event_id="last")])
    cleaned(lake)
    assert [row["event_id"] for row in collected(lake, SILVER_EVENTS)] == ["first", "last"]
    found = refusals(lake)
    assert dict(zip(POISON, found.values(), strict=True)) == {name: reason for name, (_, reason) in POISON.items()}
    assert list(found) == list(range(1, len(POISON) + 1))
    on_topic(lake, [event(event_id="later")])
    cleaned(lake)
    assert len(collected(lake, SILVER_EVENTS)) == 3, "later runs go on"


def test_bytes_that_are_no_text_are_refused_with_what_came(lake: Lake) -> None:
    rows = rows_of(lake, [event(), b'{"event_id":"\xe9"}', None])
    good, odd, missing = checked(rows).orderBy("source_offset").collect()
    assert good["refused"] is None
    assert odd["refused"]["reason"] == "malformed"
    assert odd["raw"] == "base64:" + base64.b64encode(b'{"event_id":"\xe9"}').decode()
    assert (missing["refused"]["reason"], missing["raw"]) == ("malformed", "")
    (item,) = checked_items(rows_of(lake, [b'{"item_id":"\xe9"}'])).collect()
    assert item["refused"]["reason"] == "malformed"


def test_a_message_that_the_contract_itself_fails_on_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(raw: bytes, received_at: datetime) -> Any:
        if b"poison" in raw:
            raise ZeroDivisionError
        return judge_event(raw, received_at) | {"query": "\ud83d" if b"half" in raw else None}  # type: ignore[operator]

    def no_columns(*_: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr(event_columns, "judge_event", broken)
    monkeypatch.setattr(event_columns, "plainly_good", no_columns)
    messages = [event(event_id=name) for name in ("e1", "poison", "e2", "half", "e3")]
    judged = event_columns.judge_events(pa.array(messages), pa.array([AS_OF] * 5, TIME)).to_pylist()
    assert [row["event_id"] for row in judged] == ["e1", None, "e2", None, "e3"]
    assert [row["refused"] and row["refused"]["message"] for row in judged] == [
        None, "could not be validated (ZeroDivisionError)", None, "could not be validated (UnicodeEncodeError)", None,
    ]  # fmt: skip


ODD_ROWS = [
    b'{"%b":"a\\ud83d"}', b"", None, b"[1]", b"{", b'{"%b":1e400}', b'{"%b":{"a":1}}', b'{"%b":true}',
    b'{"%b":null}', b'{"%b":""}', b'{"%b":' + b"[" * 2000 + b"]" * 2000 + b"}", b'{"%b":"' + b"x" * 1_000_000 + b'"}',
    b'{"%b":"x","promotion_calendar":"' + b"2026-11-01/2026-11-02=0.5 " * 9000 + b'2026-11-01/2026-11-02=0.5"}',
]  # fmt: skip
"""Rows of items (the last one) or users (the others, too) that are refused."""


def test_of_item_and_user_rows_the_good_ones_are_taken_and_the_others_refused(lake: Lake) -> None:
    items = [row and row.replace(b"%b", b"item_id") for row in ODD_ROWS]
    users = [row and row.replace(b"%b", b"user_id") for row in ODD_ROWS[:-1]]
    good = b'{"%b":7.0,"%b":123.0,"title":"Lamp\\u0000","note":{"a":[1,null]},"price":1e2,"size":35.0}'
    lake.append_delivery(
        with_subjects(rows_of(lake, [*items, good.replace(b"%b", b"item_id")]), BRONZE_ITEMS, {}), BRONZE_ITEMS
    )
    lake.append_delivery(
        with_subjects(rows_of(lake, [*users, good.replace(b"%b", b"user_id")]), BRONZE_USERS, {}), BRONZE_USERS
    )
    cleaned(lake)
    (item,) = collected(lake, SILVER_ITEMS)
    assert (item["item_id"], item["title"]) == ("123", "Lamp\0")
    assert json.loads(item["extra"]) == {"note": '{"a":[1,null]}', "size": "35.0"}
    assert [row["price"] for row in collected(lake, SILVER_ITEM_STATES)] == [100.0]
    (user,) = collected(lake, SILVER_USERS)
    assert (user["user_id"], user["profile"]["size"]) == ("123", "35.0")
    assert len(collected(lake, REJECTED_EVENTS)) == len(items)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = [*GOOD, "session_id", "price", "query", "context", "title", "available"]


def rows(seed: int, values: Sequence[Any], odd: Sequence[bytes]) -> list[bytes]:
    """Some hundred rows: events with any value in any field, with any bytes within them, and any bytes."""
    choose = random.Random(seed)
    changed = [event(**{choose.choice(NAMES): choose.choice(values) for _ in range(2)}) for _ in range(200)]
    return [*changed, *(event().replace(b"good", part) for part in odd), *odd]


@settings(
    max_examples=2, derandomize=True, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(st.builds(rows, st.integers(1, 99), st.lists(JSON, min_size=20), st.lists(st.binary(max_size=40), min_size=20)))
def test_whatever_bytes_arrive_clean_ends_and_each_row_is_taken_or_refused(lake: Lake, arrived: list[bytes]) -> None:
    for table in (BRONZE_EVENTS, BRONZE_ITEMS, BRONZE_USERS):
        lake.append_delivery(with_subjects(rows_of(lake, [event(), *arrived]), table, {}), table)
    before = lake.version(SILVER_EVENTS)
    cleaned(lake)
    assert lake.version(SILVER_EVENTS) > before
    judged = checked(lake.read(BRONZE_EVENTS))
    assert judged.where("(refused IS NULL) = (event_id IS NULL)").isEmpty()
