"""Files → bronze → silver: nothing lost, nothing twice, every refusal with a reason."""

from __future__ import annotations

import bz2
import gzip
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.errors import BadInputError
from headrace.events import Reason
from headrace.settings.jobs import CleanSettings
from headrace.tables import BRONZE_EVENTS, BRONZE_ITEMS, REJECTED_EVENTS, SILVER_EVENTS, SILVER_ITEMS
from jobs.batch.clean.job import Cleaned, clean
from jobs.batch.engine.lake import Lake
from jobs.batch.ingest.files_job import Inputs, ingest_files
from tests.jobs.batch.ingest.file_writers import json_text, zstd
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


def test_zstandard_files_are_read_line_by_line_with_the_numbers_of_the_file(lake: Lake, tmp_path: Path) -> None:
    header = "event_id,event_type,user_id,item_id,timestamp\r\n"
    lines = [f"c{n},purchase,u1,i{n},2026-11-19T10:00:00Z\n" for n in range(9000)]
    lines[4500] = "\nc4500,purchase,u1,,2026-11-19T10:00:00Z\n"  # a blank line before it
    table, rows = tmp_path / "shop.csv.zst", tmp_path / "app.jsonl.zst"
    frames = "\ufeff" + header + "".join(lines[:4000]), "".join(lines[4000:])
    table.write_bytes(zstd(*(frame.encode() for frame in frames)))
    rows.write_bytes(zstd(json_text([purchase("j1", "u1", "i1", days_before(1))])))
    ingest_files(lake, Inputs(events=[table, rows]), AS_OF)
    assert clean(lake, CleanSettings()) == Cleaned(events=9000, rejected=1, items=0, users=0, bots=1)
    (refused,) = collected(lake, REJECTED_EVENTS)
    assert refused["message"] == "shop.csv.zst, row 4503: 'item_id': a purchase needs an item_id"


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


def test_titles_keep_their_quotes_backslashes_and_line_breaks(lake: Lake, tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    file.write_text(
        'item_id,title,price,Price\ni1,"24"" monitor, black",199,x\ni2,"Path C:\\",5,\ni3,"say ""hi""",3,\n'
        'i4,"Lamp\nwith cord",4,\ni5,"Lamp,5,\ni6\n'
    )
    ingest_files(lake, Inputs(items=[file]), AS_OF)
    assert clean(lake, CleanSettings()) == Cleaned(events=0, rejected=2, items=4, users=0)
    titles = [row["title"] for row in collected(lake, SILVER_ITEMS, "item_id")]
    assert titles == ['24" monitor, black', "Path C:\\", 'say "hi"', "Lamp\nwith cord"]
    refused = [(row["source_offset"], row["raw"]) for row in collected(lake, REJECTED_EVENTS, "source_offset")]
    assert refused == [(7, 'quotes that do not match: i5,"Lamp,5,'), (8, "1 fields, the header has 4: i6")]


def test_a_row_of_bytes_that_are_no_text_is_refused_with_its_place_and_the_good_ones_get_in(
    lake: Lake, tmp_path: Path
) -> None:
    good = json.dumps(purchase("e1", "u1", "i1", days_before(1)))
    lines, table = tmp_path / "a.jsonl", tmp_path / "b.csv"
    lines.write_bytes(f"{good}\n{good.replace('e1', 'caf#')}\n".encode().replace(b"#", b"\xe9"))
    table.write_bytes(
        b"event_id;event_type;user_id;item_id;timestamp\n"
        b"e2;view;007;i1;2026-11-19T10:00:00Z\ne3;view;\xff;i1;2026-11-19T10:00:00Z\n"
    )
    ingest_files(lake, Inputs(events=[lines, table]), AS_OF)
    assert clean(lake, CleanSettings()) == Cleaned(events=2, rejected=2, items=0, users=0)
    assert [row["user_id"] for row in collected(lake, SILVER_EVENTS, "event_id")] == ["u1", "007"]
    refused = [(row["reason"], row["message"]) for row in collected(lake, REJECTED_EVENTS, "source")]
    assert refused == [
        ("malformed", "a.jsonl, row 2: not a JSON object"),
        ("malformed", "b.csv, row 3: not a JSON object"),
    ]


def test_nanoseconds_of_parquet_are_taken_to_the_microsecond_with_and_without_a_zone(
    lake: Lake, tmp_path: Path
) -> None:
    for zone, hour in ((None, 10), ("Europe/Berlin", 11)):
        event = {**purchase(f"e-{zone}", "u1", "i1", ""), "user_id": 12345678901234567}
        table = pa.Table.from_pylist([event]).drop_columns("timestamp")
        nanoseconds = pa.array([1_795_082_400_123_456_789], pa.timestamp("ns", zone))
        pq.write_table(table.append_column("timestamp", nanoseconds), tmp_path / f"{hour}.parquet")
    ingest_files(lake, Inputs(events=[tmp_path]), AS_OF)
    assert clean(lake, CleanSettings()) == Cleaned(events=2, rejected=0, items=0, users=0)
    taken = {(row["user_id"], str(row["timestamp"])) for row in collected(lake, SILVER_EVENTS)}
    assert taken == {("12345678901234567", "2026-11-19 10:00:00.123456")}


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


def test_a_column_whose_type_changes_midway_is_taken_where_it_can_be_read_and_else_refused(
    lake: Lake, tmp_path: Path
) -> None:
    rows = [purchase(f"e{n}", "u1", f"i{n}", days_before(1), price=1.5) for n in range(8)]
    values: list[Any] = [3, 3.0, "3", " 3 ", "three", True, [3], {"amount": 3}]
    for row, value in zip(rows, values, strict=True):
        row["value"] = value
    take_in(lake, tmp_path, "mixed", events=rows)
    taken = [(row["event_id"], row["value"], row["price"]) for row in collected(lake, SILVER_EVENTS, "event_id")]
    assert taken == [(f"e{n}", 3.0, 1.5) for n in range(4)]
    refused = [
        (row["source_offset"], row["field"], row["message"].partition("': ")[2])
        for row in collected(lake, REJECTED_EVENTS, "source_offset")
    ]
    assert refused == [
        (5, "value", "'three' is not a number"),
        (6, "value", "True is not a number"),
        (7, "value", "[3] is not a number"),
        (8, "value", "{'amount': 3} is not a number"),
    ]


def test_a_parquet_file_whose_number_became_text_loses_no_row_silently(lake: Lake, tmp_path: Path) -> None:
    known = [purchase(f"p{n}", "u1", f"i{n}", days_before(1)) for n in range(4)]
    for name, values in (("old", [1.0, 2.0]), ("new", ["3", "four"])):
        half = known[:2] if name == "old" else known[2:]
        table = pa.Table.from_pylist([{**row, "value": value} for row, value in zip(half, values, strict=True)])
        pq.write_table(table, tmp_path / f"{name}.parquet")
    ingest_files(lake, Inputs(events=[tmp_path]), AS_OF)
    assert clean(lake, CleanSettings()) == Cleaned(events=3, rejected=1, items=0, users=0)
    assert [row["value"] for row in collected(lake, SILVER_EVENTS, "event_id")] == [1.0, 2.0, 3.0]
    assert collected(lake, REJECTED_EVENTS)[0]["message"] == "new.parquet, row 2: 'value': 'four' is not a number"
