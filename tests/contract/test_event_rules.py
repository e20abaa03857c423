"""The event contract is the same in Python (one event at a time) and in Spark (columns)."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from headrace.events import Event, EventType, Rejection, judge_event, parse_event
from headrace.events.columns import judge_events
from headrace.events.plain import plainly_good
from headrace.events.subjects import subject_key
from headrace.tables import TIME
from jobs.batch.clean.event_rules import checked

CASES: dict[str, Any] = json.loads((Path(__file__).parent / "event_cases.json").read_text(encoding="utf-8"))
RECEIVED_AT = datetime.fromisoformat(CASES["received_at"])
FIELDS = (
    "event_id",
    "event_type",
    "user_id",
    "session_id",
    "item_id",
    "subject_id",
    "timestamp",
    "value",
    "price",
    "query",
)
FIELDS += ("request_id", "position", "context", "extra")


def by_python(raw: str) -> dict[str, Any]:
    result = parse_event(raw, RECEIVED_AT)
    if isinstance(result, Rejection):
        return {"reason": result.reason.value, "field": result.field}
    return accepted(result)


def accepted(event: Event) -> dict[str, Any]:
    fields = json.loads(event.to_json())
    given = {name: fields.get(name) for name in FIELDS}
    return {**given, "context": fields.get("context", {}), "extra": dict(event.model_extra or {})}


def by_spark(spark: SparkSession, raws: list[str]) -> list[dict[str, Any]]:
    numbered = [(place, raw, RECEIVED_AT) for place, raw in enumerate(raws)]
    rows = spark.createDataFrame(numbered, "place int, raw string, received_at timestamp")
    judged = (
        checked(rows)
        .withColumn("extra", F.col("raw"))
        .withColumn("timestamp", F.date_format("timestamp", "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'"))
    )
    return [spark_result(row.asDict(recursive=True)) for row in sorted(judged.collect(), key=lambda row: row.place)]


def spark_result(row: dict[str, Any]) -> dict[str, Any]:
    if row["refused"]:
        return {"reason": row["refused"]["reason"], "field": row["refused"]["field"]}
    fields = {name: row[name] for name in FIELDS}
    extra = {name: value for name, value in json.loads(row["extra"]).items() if name not in FIELDS}
    return {**fields, "extra": extra}


def expected(case: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """What the case says of the result; fields it does not name are not looked at."""
    if "reason" in case:
        return {"reason": case["reason"], "field": case["field"]}
    return {**result, **case["accepted"]}


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["name"])
def test_python_judges_each_case_as_written(case: dict[str, Any]) -> None:
    result = by_python(case["raw"])
    assert result == expected(case, result)


def test_spark_judges_each_case_as_written_and_agrees_with_python_in_every_field(spark: SparkSession) -> None:
    results = by_spark(spark, [case["raw"] for case in CASES["cases"]])
    wrong = [
        (case["name"], result, by_python(case["raw"]))
        for case, result in zip(CASES["cases"], results, strict=True)
        if result != expected(case, result) or result != by_python(case["raw"])
    ]
    assert wrong == []


GOOD = {
    "event_id": "e1", "event_type": "view", "user_id": "u1", "session_id": "s1", "item_id": "i1", "query": "milk",
    "timestamp": "2026-11-20T10:00:00Z", "value": 1, "price": 2.5, "position": 3, "context": {"device": "tv"},
    "other": 1,
}  # fmt: skip
ODD: list[Any] = [
    None, True, False, "", " ", "\t", "0", "true", "null", "[]", "{}", '{"a": 1}', "x" * 257, "é" * 1001, "1.0", "1e3",
    "-0", "+5", "5.", ".5", "1_0", "0x10", "١٢", "Infinity", "NaN", 0, -1, 1, 7.0, 7.5, -0.0, 1e6, 1000000.01, 1e15,
    10**16, 2**63, 1795168800000, 1795168800000.5, 1795168800, 946684799999, 946684800000, 99999999999999, 10**15,
    [], [1], {}, {"a": {"b": 1}}, "2026-11-20", "2026-11-20T10", "2026-11-20T10:00:00,5Z", "2026-11-20T10:00:00z",
    "2026-11-20T24:00:00Z", " 2026-11-20 10:00 ", "2026-11-20T10:00:00+14:59", "2026-11-20T10:00:00-15:00",
    "2026-W47-5", "20261120", "2026-1-2", "0000-01-01", "1795168800000",
]  # fmt: skip


def mutated_events(count: int) -> list[str]:
    """Good events of every type, one or two fields of each odd or left out; always the same ones."""
    choose = random.Random(7)
    raws = []
    for _ in range(count):
        event: dict[str, Any] = {**GOOD, "event_type": choose.choice([kind.value for kind in EventType])}
        for name in choose.sample(list(GOOD), choose.choice([1, 1, 2])):
            event[name] = choose.choice(ODD)
        if choose.random() < 0.2:
            del event[choose.choice(list(GOOD))]
        raws.append(json.dumps(event))
    return raws


def test_spark_and_python_agree_on_odd_values_in_every_field(spark: SparkSession) -> None:
    raws = mutated_events(1500)
    results = list(zip(raws, by_spark(spark, raws), map(by_python, raws), strict=True))
    assert [each for each in results if each[1] != each[2]][:3] == []
    assert 300 < sum("reason" in result for _, result, _ in results) < 1200  # both kinds are well represented


def test_what_is_plainly_good_is_accepted_one_by_one_with_the_same_fields() -> None:
    raws = [*(case["raw"] for case in CASES["cases"]), *mutated_events(20_000)]
    good, columns = plainly_good(pa.array([raw.encode() for raw in raws]), pa.array([RECEIVED_AT] * len(raws), TIME))
    rows = pa.table(columns).to_pylist()
    for raw, row, is_good in zip(raws, rows, good.to_pylist(), strict=True):
        judged = judge_event(raw, RECEIVED_AT)
        if is_good:
            assert not isinstance(judged, Rejection), raw
            subject = subject_key(judged["user_id"], judged["session_id"])
            assert {**row, "context": dict(row["context"])} == {**judged, "subject_id": subject}, raw
    accepted = sum(not isinstance(judge_event(raw, RECEIVED_AT), Rejection) for raw in raws)
    assert 4000 < good.true_count < accepted, "odd ones are accepted too, but not on this way"


def test_an_ordinary_event_is_plainly_good_and_one_on_a_day_that_is_none_is_not() -> None:
    raws = [json.dumps(GOOD), json.dumps({**GOOD, "timestamp": "2026-06-31T10:00:00Z"})]
    one = pa.array([RECEIVED_AT], TIME)
    assert [plainly_good(pa.array([raw.encode()]), one)[0].to_pylist() for raw in raws] == [[True], [False]]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=6,
)
CHANGES = st.dictionaries(st.sampled_from([*GOOD, "note"]), JSON, max_size=3)


@given(
    st.binary() | CHANGES.map(lambda change: json.dumps(GOOD | change).encode()), st.datetimes(timezones=st.just(UTC))
)
def test_whatever_bytes_arrive_and_whenever_they_are_accepted_or_refused(raw: bytes, received_at: datetime) -> None:
    judged = judge_event(raw, received_at)
    (row,) = judge_events(pa.array([raw], pa.binary()), pa.array([received_at], TIME)).to_pylist()
    if isinstance(judged, Rejection):
        assert row["refused"] == {"reason": judged.reason, "field": judged.field, "message": judged.message}
    else:
        assert row["refused"] is None
        assert {name: row[name] for name in judged} == {**judged, "context": list(judged["context"].items())}
