"""The event contract is the same in Python (one event at a time) and in Spark (columns)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from headrace.events import Event, EventType, Rejection, parse_event
from jobs.batch.event_rules import checked

CASES: dict[str, Any] = json.loads((Path(__file__).parent / "event_cases.json").read_text(encoding="utf-8"))
RECEIVED_AT = datetime.fromisoformat(CASES["received_at"])
FIELDS = ("event_id", "event_type", "user_id", "session_id", "item_id", "subject_id", "timestamp", "value", "price", "query")
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
    rows = spark.createDataFrame([(place, raw, RECEIVED_AT) for place, raw in enumerate(raws)], "place int, raw string, received_at timestamp")
    return [spark_result(row.asDict(recursive=True)) for row in sorted(checked(rows).collect(), key=lambda row: row.place)]


def spark_result(row: dict[str, Any]) -> dict[str, Any]:
    if row["refused"]:
        return {"reason": row["refused"]["reason"], "field": row["refused"]["field"]}
    fields = {name: row[name] for name in FIELDS}
    time = row["timestamp"].replace(tzinfo=row["timestamp"].tzinfo or UTC).astimezone(UTC)
    extra = json.loads(row["extra"]) if row["extra"] else {}
    return {**fields, "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "extra": extra}


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


anything = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**6), 10**13), st.text(max_size=8), st.floats(-1e6, 1e6).map(lambda x: round(x, 3)),
    st.lists(st.integers(0, 9), max_size=2),
)  # fmt: skip
ids = st.one_of(st.text("ab1 ", max_size=4), anything)
times = st.one_of(st.datetimes(datetime(1998, 1, 1), datetime(2027, 1, 1)).map(datetime.isoformat), anything)  # noqa: DTZ001
events = st.fixed_dictionaries(
    {"event_id": ids, "event_type": st.one_of(st.sampled_from([kind.value for kind in EventType]), anything)},
    optional={
        "user_id": ids, "session_id": ids, "item_id": ids, "timestamp": times, "value": anything, "price": anything,
        "query": ids, "position": anything, "context": st.one_of(anything, st.dictionaries(st.text("k", min_size=1), ids)),
        "other": anything,
    },
)  # fmt: skip


@settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(batch=st.lists(events, min_size=150, max_size=200))
def test_spark_and_python_agree_on_generated_events(spark: SparkSession, batch: list[dict[str, Any]]) -> None:
    raws = [json.dumps(event) for event in batch]
    judged = zip(raws, by_spark(spark, raws), map(by_python, raws), strict=True)
    differing = [(raw, ours, theirs) for raw, ours, theirs in judged if not same(ours, theirs)]
    assert differing[:3] == []


def same(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Equal up to the spelling of fractions inside the context, which is text."""
    return {**ours, "context": None} == {**theirs, "context": None}
