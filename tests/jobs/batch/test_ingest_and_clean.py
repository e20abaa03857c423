"""Files → bronze → silver: nothing lost, nothing twice, every refusal with a reason."""

from __future__ import annotations

import bz2
import gzip
import json
from datetime import timedelta
from pathlib import Path

import pytest

from headrace.errors import BadInputError
from headrace.settings_groups import CleanSettings
from headrace.tables import BRONZE_EVENTS, REJECTED_EVENTS, SILVER_EVENTS, SILVER_ITEMS
from jobs.batch.clean import Cleaned, clean
from jobs.batch.ingest import Inputs, ingest_files
from jobs.batch.lake import Lake
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


def test_csv_with_other_column_names_is_mapped_and_bad_lines_are_named_by_line(lake: Lake, tmp_path: Path) -> None:
    file = tmp_path / "shop.csv"
    file.write_text(
        "id,kind,customer,sku,when,value,shop\n"
        'e1,purchase,u1,i1,2026-11-19T10:00:00Z,2,"Rue, 1"\n'
        "\n"
        "e2,purchase,u1,i1,2026-11-19T10:00:00Z,many,B\n"
        "e3,purchase,u1\n"
    )
    names = {"id": "event_id", "kind": "event_type", "customer": "user_id", "sku": "item_id", "when": "timestamp"}
    ingest_files(lake, Inputs(events=[file], names=names), AS_OF)
    assert clean(lake, CleanSettings()) == Cleaned(events=1, rejected=2, items=0, users=0)
    assert '"shop":"Rue, 1"' in collected(lake, SILVER_EVENTS)[0]["extra"]
    refused = [
        (row["source_offset"], row["reason"], row["field"]) for row in collected(lake, REJECTED_EVENTS, "source_offset")
    ]
    assert refused == [(4, "bad_value", "value"), (5, "malformed", "")]


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


def test_compressed_files_in_folders_below_are_taken_in_and_a_new_column_is_kept(lake: Lake, tmp_path: Path) -> None:
    inner = tmp_path / "year" / "month"
    inner.mkdir(parents=True)
    old, new = purchase("e1", "u1", "i1", days_before(1)), purchase("e2", "u1", "i1", days_before(1), shop="B")
    (inner / "a.jsonl.gz").write_bytes(gzip.compress(json.dumps(old).encode()))
    (inner / "b.jsonl.bz2").write_bytes(bz2.compress(json.dumps(new).encode()))
    ingest_files(lake, Inputs(events=[tmp_path / "year"]), AS_OF)
    assert clean(lake, CleanSettings()) == Cleaned(events=2, rejected=0, items=0, users=0)
    assert '"shop": "B"' in collected(lake, SILVER_EVENTS, "event_id")[1]["extra"]
