"""Files of every kind, imported and cleaned together: what of each is taken, and what is refused at which place."""

from __future__ import annotations

import bz2
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from headrace.settings import Settings
from headrace.settings.jobs import CleanSettings
from headrace.tables import REJECTED_EVENTS, SILVER_EVENTS, SILVER_ITEMS
from jobs.batch.clean.job import Cleaned, clean
from jobs.batch.engine.lake import Lake
from jobs.batch.ingest.files_job import Inputs, ingest_files
from tests.jobs.batch.ingest.file_writers import json_text, zstd
from tests.jobs.batch.worlds import AS_OF, collected, days_before, json_lines, purchase

VALUES: list[Any] = [3, 3.0, "3", " 3 ", "three", True, [3], {"amount": 3}]
ZSTD_LINES = 9000


class Imported:
    """What became of the files of `write_files`."""

    def __init__(self, lake: Lake, cleaned: Cleaned) -> None:
        self.cleaned = cleaned
        self.titles = [row["title"] for row in collected(lake, SILVER_ITEMS, "item_id")]
        self._events = collected(lake, SILVER_EVENTS, "event_id")
        self._refused = collected(lake, REJECTED_EVENTS, "source", "source_offset")

    def events(self, start: str) -> list[dict[str, Any]]:
        """The valid events whose ids start so."""
        return [row for row in self._events if row["event_id"].startswith(start)]

    def refused(self, file: str) -> list[dict[str, Any]]:
        """The refused rows of a file."""
        return [row for row in self._refused if row["source"].startswith(f"file:{file}#")]


@pytest.fixture(scope="module")
def imported(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Imported:
    home = tmp_path_factory.mktemp("imported")
    lake = Lake(spark, Settings(home=home).lake_root)
    for inputs in write_files(home / "files"):
        ingest_files(lake, inputs, AS_OF)
    return Imported(lake, clean(lake, CleanSettings()))


def write_files(folder: Path) -> list[Inputs]:
    inner = folder / "year" / "month"
    inner.mkdir(parents=True)
    shop = folder / "shop.csv"
    shop.write_text(
        "id,kind,customer,sku,when,value,shop\n"
        'csv1,purchase,u1,i1,2026-11-19T10:00:00Z,2,"Rue, 1"\n'
        "\n"
        "csv2,purchase,u1,i1,2026-11-19T10:00:00Z,many,B\n"
        "csv3,purchase,u1\n"
    )
    names = {"id": "event_id", "kind": "event_type", "customer": "user_id", "sku": "item_id", "when": "timestamp"}

    old, new = purchase("inner1", "u1", "i1", days_before(1)), purchase("inner2", "u1", "i1", days_before(1), shop="B")
    (inner / "a.jsonl.gz").write_bytes(gzip.compress(json.dumps(old).encode()))
    (inner / "b.jsonl.bz2").write_bytes(bz2.compress(json.dumps(new).encode()))

    header = "event_id,event_type,user_id,item_id,timestamp\r\n"
    lines = [f"zstd{n},purchase,u1,i{n},2026-11-19T10:00:00Z\n" for n in range(ZSTD_LINES)]
    lines[4500] = "\nzstd4500,purchase,u1,,2026-11-19T10:00:00Z\n"  # a blank line before it
    frames = "\ufeff" + header + "".join(lines[:4000]), "".join(lines[4000:])
    (folder / "shop.csv.zst").write_bytes(zstd(*(frame.encode() for frame in frames)))
    (folder / "app.jsonl.zst").write_bytes(zstd(json_text([purchase("zstd-json", "u1", "i1", days_before(1))])))

    good = json.dumps(purchase("bytes1", "u1", "i1", days_before(1)))
    (folder / "a.jsonl").write_bytes(f"{good}\n{good.replace('bytes1', 'caf#')}\n".encode().replace(b"#", b"\xe9"))
    (folder / "b.csv").write_bytes(
        b"event_id;event_type;user_id;item_id;timestamp\n"
        b"bytes2;view;007;i1;2026-11-19T10:00:00Z\nbytes3;view;\xff;i1;2026-11-19T10:00:00Z\n"
    )

    for zone, hour in ((None, 10), ("Europe/Berlin", 11)):
        event = {**purchase(f"nano-{zone}", "u1", "i1", ""), "user_id": 12345678901234567}
        table = pa.Table.from_pylist([event]).drop_columns("timestamp")
        nanoseconds = pa.array([1_795_082_400_123_456_789], pa.timestamp("ns", zone))
        pq.write_table(table.append_column("timestamp", nanoseconds), folder / f"{hour}.parquet")

    mixed = [
        purchase(f"mixed{n}", "u1", f"i{n}", days_before(1), price=1.5) | {"value": value}
        for n, value in enumerate(VALUES)
    ]
    json_lines(folder / "mixed.jsonl", mixed)

    for name, values in (("old", [1.0, 2.0]), ("new", ["3", "four"])):
        rows = [purchase(f"text-{name}{n}", "u1", f"i{n}", days_before(1)) for n in range(2)]
        table = pa.Table.from_pylist([{**row, "value": value} for row, value in zip(rows, values, strict=True)])
        pq.write_table(table, folder / f"{name}.parquet")

    items = folder / "items.csv"
    items.write_text(
        'item_id,title,price,Price\ni1,"24"" monitor, black",199,x\ni2,"Path C:\\",5,\ni3,"say ""hi""",3,\n'
        'i4,"Lamp\nwith cord",4,\ni5,"Lamp,5,\ni6\n'
    )
    others = [path for path in sorted(folder.iterdir()) if path not in (shop, items)]
    return [Inputs(events=[shop], items=[items], names=names), Inputs(events=others)]


def test_every_row_is_counted(imported: Imported) -> None:
    taken = 1 + 2 + ZSTD_LINES + 2 + 2 + 4 + 3
    assert imported.cleaned == Cleaned(events=taken, rejected=2 + 1 + 2 + 4 + 1 + 2, items=4, users=0, bots=1)


def test_csv_with_other_column_names_is_mapped_and_bad_lines_are_named_by_line(imported: Imported) -> None:
    (event,) = imported.events("csv")
    assert '"shop":"Rue, 1"' in event["extra"]
    refused = [(row["source_offset"], row["reason"], row["field"]) for row in imported.refused("shop.csv")]
    assert refused == [(4, "bad_value", "value"), (5, "malformed", "")]


def test_compressed_files_in_folders_below_are_taken_in_and_a_new_column_is_kept(imported: Imported) -> None:
    old, new = imported.events("inner")
    assert '"shop"' not in old["extra"] and '"shop": "B"' in new["extra"]


def test_zstandard_files_are_read_line_by_line_with_the_numbers_of_the_file(imported: Imported) -> None:
    assert len(imported.events("zstd")) == ZSTD_LINES
    (refused,) = imported.refused("shop.csv.zst")
    assert refused["message"] == "shop.csv.zst, row 4503: 'item_id': a purchase needs an item_id"


def test_titles_keep_their_quotes_backslashes_and_line_breaks(imported: Imported) -> None:
    assert imported.titles == ['24" monitor, black', "Path C:\\", 'say "hi"', "Lamp\nwith cord"]
    refused = [(row["source_offset"], row["raw"]) for row in imported.refused("items.csv")]
    assert refused == [(7, 'quotes that do not match: i5,"Lamp,5,'), (8, "1 fields, the header has 4: i6")]


def test_a_row_of_bytes_that_are_no_text_is_refused_with_its_place_and_the_good_ones_get_in(imported: Imported) -> None:
    assert [row["user_id"] for row in imported.events("bytes")] == ["u1", "007"]
    refused = [(row["reason"], row["message"]) for row in imported.refused("a.jsonl") + imported.refused("b.csv")]
    assert refused == [
        ("malformed", "a.jsonl, row 2: not a JSON object"),
        ("malformed", "b.csv, row 3: not a JSON object"),
    ]


def test_nanoseconds_of_parquet_are_taken_to_the_microsecond_with_and_without_a_zone(imported: Imported) -> None:
    taken = [(row["user_id"], str(row["timestamp"])) for row in imported.events("nano")]
    assert taken == [("12345678901234567", "2026-11-19 10:00:00.123456")] * 2


def test_a_column_whose_type_changes_midway_is_taken_where_it_can_be_read_and_else_refused(imported: Imported) -> None:
    taken = [(row["event_id"], row["value"], row["price"]) for row in imported.events("mixed")]
    assert taken == [(f"mixed{n}", 3.0, 1.5) for n in range(4)]
    refused = [
        (row["source_offset"], row["field"], row["message"].partition("': ")[2])
        for row in imported.refused("mixed.jsonl")
    ]
    assert refused == [
        (5, "value", "'three' is not a number"),
        (6, "value", "True is not a number"),
        (7, "value", "[3] is not a number"),
        (8, "value", "{'amount': 3} is not a number"),
    ]


def test_a_parquet_file_whose_number_became_text_loses_no_row_silently(imported: Imported) -> None:
    assert sorted(row["value"] for row in imported.events("text")) == [1.0, 2.0, 3.0]
    (refused,) = imported.refused("new.parquet")
    assert refused["message"] == "new.parquet, row 2: 'value': 'four' is not a number"
