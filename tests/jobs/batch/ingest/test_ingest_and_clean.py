"""Files → bronze → silver: nothing lost, nothing twice, every refusal with a reason."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import BadInputError
from headrace.events import Reason
from headrace.tables import BRONZE_EVENTS, BRONZE_ITEMS, REJECTED_EVENTS, SILVER_EVENTS, SILVER_ITEMS
from jobs.batch.clean.job import Cleaned
from jobs.batch.engine.lake import Lake
from jobs.batch.ingest.files_job import Inputs, ingest_files
from tests.jobs.batch.worlds import AS_OF, collected, days_before, json_lines, purchase, take_in


def test_good_rows_get_in_and_garbage_is_kept_with_reasons_that_add_up(lake: Lake, tmp_path: Path) -> None:
    good = [purchase(f"e{n}", "u1", f"i{n}", days_before(1)) for n in range(297)]
    garbage = [
        "{broken",
        {**good[0], "event_id": "x", "item_id": ""},
        {**good[0], "event_id": "y", "timestamp": "2999-01-01"},
    ]
    done = take_in(lake, tmp_path, "one", events=[*good[:100], *garbage, *good[100:]])
    assert done == Cleaned(events=297, rejected=3, items=0, users=0)
    rejected = collected(lake, REJECTED_EVENTS, "source_offset")
    assert [(row["source_offset"], row["reason"]) for row in rejected] == [
        (101, "malformed"), (102, "missing_item"), (103, "future_timestamp"),
    ]  # fmt: skip
    assert rejected[0]["raw"] == "{broken"
    assert rejected[1]["message"] == "one-events.jsonl, row 102: 'item_id': a purchase needs an item_id"


def test_the_same_file_again_adds_nothing_but_a_changed_one_does(lake: Lake, tmp_path: Path) -> None:
    rows = [purchase("e1", "u1", "i1", days_before(2)), purchase("e2", "u1", "i2", days_before(1))]
    take_in(lake, tmp_path, "same", events=rows)
    assert take_in(lake, tmp_path, "same", events=rows) == Cleaned(0, 0, 0, 0)
    assert len(collected(lake, BRONZE_EVENTS)) == 2
    assert take_in(lake, tmp_path, "same", events=[*rows, purchase("e3", "u1", "i3", days_before(0))]).events == 1


def test_of_one_event_id_the_first_to_arrive_stays_also_when_cleaned_late(lake: Lake, tmp_path: Path) -> None:
    first, twice = purchase("e1", "u1", "i1", days_before(3)), purchase("e1", "u1", "i2", days_before(2))
    take_in(lake, tmp_path, "a", events=[first, twice])
    earlier_clock = AS_OF - timedelta(days=1)
    take_in(lake, tmp_path, "b", received=earlier_clock, events=[twice, purchase("e0", "u1", "i0", days_before(5))])
    assert [(row["event_id"], row["item_id"]) for row in collected(lake, SILVER_EVENTS, "event_id")] == [
        ("e0", "i0"),
        ("e1", "i1"),
    ]


def test_a_file_without_the_needed_column_or_no_file_at_all_is_said_in_one_sentence(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"other.jsonl has no column 'event_type' \(its columns: a, b\)"):
        ingest_files(lake, Inputs(events=[json_lines(tmp_path / "other.jsonl", [{"a": 1, "b": 2}])]), AS_OF)
    with pytest.raises(BadInputError, match="does not exist"):
        ingest_files(lake, Inputs(events=[tmp_path / "missing.csv"]), AS_OF)
    assert not lake.exists(BRONZE_EVENTS)


def test_items_keep_their_versions_and_rows_without_id_or_with_a_bad_price_are_refused(
    lake: Lake, tmp_path: Path
) -> None:
    first = [
        {"item_id": "i1", "title": "Milk", "price": 1},
        {"item_id": "i2"},
        {"title": "?"},
        {"item_id": "i3", "price": "free"},
    ]
    assert take_in(lake, tmp_path, "a", items=first) == Cleaned(0, 2, 2, 0)
    later = AS_OF + timedelta(days=2)
    take_in(
        lake,
        tmp_path,
        "b",
        received=later,
        items=[{"item_id": "i1", "title": "Oat milk", "price": 2}, {"item_id": "i2"}],
    )
    rows = collected(lake, SILVER_ITEMS, "item_id", "valid_from")
    versions = [(row["item_id"], row["title"], row["valid_to"] is None) for row in rows]
    assert versions == [("i1", "Milk", False), ("i1", "Oat milk", True), ("i2", "i2", True)]
    reasons = [(row["reason"], row["field"]) for row in collected(lake, REJECTED_EVENTS, "source_offset")]
    assert reasons == [("missing_item", "item_id"), ("bad_value", "price")]


def test_a_file_that_is_not_what_its_ending_says_stops_the_import_before_anything_is_written(
    lake: Lake, tmp_path: Path
) -> None:
    items, plain = json_lines(tmp_path / "items.jsonl", [{"item_id": "i1"}]), tmp_path / "plain.csv.gz"
    plain.write_text("event_id,event_type\n")
    with pytest.raises(BadInputError, match=r"plain.csv.gz is not a gzip file. Leave out the ending .gz"):
        ingest_files(lake, Inputs(events=[plain], items=[items]), AS_OF)
    packed = tmp_path / "events.parquet.zst"
    packed.write_bytes(b"PAR1")
    with pytest.raises(BadInputError, match=r"all except .parquet also with .gz, .bz2, .zst"):
        ingest_files(lake, Inputs(events=[packed], items=[items]), AS_OF)
    assert not lake.exists(BRONZE_ITEMS)


def test_one_percent_of_garbage_of_every_kind_is_quarantined_and_the_rest_gets_in(lake: Lake, tmp_path: Path) -> None:
    good = [purchase(f"e{n}", f"u{n % 50}", f"i{n}", days_before(1 + n % 9)) for n in range(1485)]
    bad = purchase("bad", "u1", "i1", days_before(1))
    garbage: list[tuple[str, Any]] = [
        ("malformed", "{broken"),
        ("malformed", "[1, 2]"),
        ("too_large", {**bad, "note": "x" * 70_000}),
        ("missing_event_id", {**bad, "event_id": " "}),
        ("unknown_event_type", {**bad, "event_type": "teleport"}),
        ("missing_subject", {**bad, "user_id": None}),
        ("missing_item", {**bad, "item_id": ""}),
        ("missing_timestamp", {**bad, "timestamp": None}),
        ("bad_timestamp", {**bad, "timestamp": "yesterday"}),
        ("future_timestamp", {**bad, "timestamp": "2999-01-01"}),
        ("bad_value", {**bad, "value": 0}),
        ("bad_value", {**bad, "price": "free"}),
        ("missing_query", {**bad, "event_type": "search"}),
        ("id_too_long", {**bad, "user_id": "u" * 300}),
        ("bad_value", {**bad, "event_type": "rating", "value": 11}),
    ]
    assert {reason for reason, _ in garbage} == {reason.value for reason in Reason}
    rows = list(good)
    for place, (_, row) in enumerate(garbage):
        rows.insert(100 * place, row)
    assert len(garbage) / len(rows) == 0.01
    assert take_in(lake, tmp_path, "one", events=rows) == Cleaned(events=1485, rejected=15, items=0, users=0)
    rejected = collected(lake, REJECTED_EVENTS, "source_offset")
    assert [(row["source_offset"], row["reason"]) for row in rejected] == [
        (100 * place + 1, reason) for place, (reason, _) in enumerate(garbage)
    ]
    assert {row["event_id"] for row in collected(lake, SILVER_EVENTS)} == {event["event_id"] for event in good}
