"""Rows of other people's files: every honest one is read as it was meant, or said in a sentence; nothing is halved."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import random
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from headrace.errors import BadInputError
from headrace.events import Reason, Rejection, parse_event
from jobs.batch.ingest.readers import text_cuts, text_lines
from jobs.batch.ingest.readers.file_parts import Expected, parts_of
from jobs.batch.ingest.readers.files import find_files
from tests.jobs.batch.ingest.file_writers import COMPRESSED, csv_text, every_file, json_text, parquet, zstd

Read = list[tuple[int, Any]]


def read(path: Path, required: str = "item_id", **expected: Any) -> Read:
    """Number and content of every row, in order; the text of one that is no JSON."""
    rows: Read = []
    for file in find_files([path]):
        for part in parts_of(file, Expected(required, **expected)):
            for raw, numbers in part.rows():
                rows += zip(numbers.to_pylist(), map(_content, raw.to_pylist()), strict=True)
    return sorted(rows, key=lambda row: row[0])


def _content(raw: str) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        refused = parse_event(raw, datetime(2026, 1, 1, tzinfo=UTC))
        assert isinstance(refused, Rejection)
        assert refused.reason is Reason.MALFORMED
        return raw


def written(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def item(name: str, title: str, **more: Any) -> Mapping[str, Any]:
    return {"item_id": name, "title": title, **more}


def test_a_quote_is_doubled_and_a_backslash_is_only_a_backslash(tmp_path: Path) -> None:
    text = 'item_id,title,price\ni1,"24"" monitor, black",199\ni2,"Path C:\\",5\ni3,"say ""hi""",3\ni4,24" wide,2\n'
    assert read(written(tmp_path / "items.csv", text)) == [
        (2, item("i1", '24" monitor, black', price="199")),
        (3, item("i2", "Path C:\\", price="5")),
        (4, item("i3", 'say "hi"', price="3")),
        (5, item("i4", '24" wide', price="2")),
    ]


@pytest.mark.parametrize("ending", COMPRESSED)
def test_a_quoted_line_break_is_part_of_the_value(ending: str, tmp_path: Path) -> None:
    text = b'item_id,title\ni1,"Lamp\nwith cord"\r\ni2,Chair\n'
    file = written(tmp_path / f"items.csv{ending}", COMPRESSED[ending](text))
    assert read(file) == [(2, item("i1", "Lamp\nwith cord")), (4, item("i2", "Chair"))]


def test_a_quote_that_is_never_closed_costs_its_own_line(tmp_path: Path) -> None:
    text = 'item_id,title\ni1,"Lamp\ni2,Chair\ni3,"Desk, oak"\n\ni4,"Bed"x\ni5,Sofa\ni6,"Rug\n'
    assert read(written(tmp_path / "items.csv", text)) == [
        (2, 'quotes that do not match: i1,"Lamp'),
        (3, item("i2", "Chair")),
        (4, item("i3", "Desk, oak")),
        (6, 'quotes that do not match: i4,"Bed"x'),
        (7, item("i5", "Sofa")),
        (8, 'quotes that do not match: i6,"Rug'),
    ]


def test_a_large_file_is_cut_only_where_no_quote_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random.seed(1)
    rows = [item(f"i{n}", "".join(random.choices('ab ,"\n\r', k=random.randrange(9))) + "x") for n in range(2000)]
    text = csv_text(rows)
    file, packed = written(tmp_path / "a.csv", text), written(tmp_path / "b.csv.gz", gzip.compress(text))
    monkeypatch.setattr(text_cuts, "PART_BYTES", 1000)
    monkeypatch.setattr(text_lines, "BATCH_LINES", 7)
    assert len(text_cuts.cuts(file, ",")) > 20
    assert [row for _, row in read(file)] == rows
    assert read(file) == read(packed)
    lines = written(tmp_path / "c.jsonl", json_text(rows))
    assert len(text_cuts.cuts(lines, None)) > 20
    assert read(lines) == list(enumerate(rows, 1))


def test_a_large_file_with_a_stray_quote_is_not_cut_behind_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_cuts, "PART_BYTES", 1000)
    lines = [f'i{n},"two\nlines"\n' for n in range(300)]
    lines[150] = 'i150,24" wide\n'
    file = written(tmp_path / "items.csv", "item_id,title\n" + "".join(lines))
    rows = read(file)
    assert [row["title"] for _, row in rows] == ["two\nlines"] * 150 + ['24" wide'] + ["two\nlines"] * 149
    assert 1 < len(text_cuts.cuts(file, ",")) < len(file.read_bytes()) // 1000 - 1


def test_lines_without_quotes_are_read_as_the_csv_module_reads_them(tmp_path: Path) -> None:
    random.seed(2)
    text = "item_id,title\n" + "".join(random.choices("ab,, é\t\\'\n\x85\x0b\u2028", k=20000))
    text = text.replace("b\n", "b\r\n").replace("a\n", "a\r")
    expected: Read = []
    for number, line in enumerate(io.StringIO(text, newline=""), 1):
        fields = next(csv.reader([line]), [])
        if number > 1 and line.strip():
            wrong = f"{len(fields)} fields, the header has 2: " + line.rstrip("\r\n")
            named = {name: value for name, value in zip(("item_id", "title"), fields, strict=False) if value}
            expected.append((number, named if len(fields) == 2 else wrong))
    assert read(written(tmp_path / "items.csv", text)) == expected


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_the_one_that_makes_the_header_have_the_needed_column(separator: str, tmp_path: Path) -> None:
    text = f"item_id{separator}a title{separator}price\ni1{separator}Lamp, red; big|1{separator}1,5\n"
    rows = read(
        written(
            tmp_path / "items.csv", text.replace(f"1{separator}1,5", f'1"{separator}"1,5"').replace("Lamp", '"Lamp')
        )
    )
    assert rows == [(2, {"item_id": "i1", "a title": "Lamp, red; big|1", "price": "1,5"})]


def test_texts_of_a_column_of_numbers_are_numbers_where_they_are_some(tmp_path: Path) -> None:
    texts = ["2", "-0.50", "1e3", "007", "+1", "2.", "many", "", "123456789012345678"]
    file = written(tmp_path / "a.csv", "item_id,value\n" + "".join(f"i,{text}\n" for text in texts))
    values = [row.get("value") for _, row in read(file, numbers=["value"])]
    assert values == [2, -0.5, "1e3", "007", "+1", "2.", "many", None, "123456789012345678"]


def test_a_separator_nobody_guesses_is_named_and_the_sentence_says_so(tmp_path: Path) -> None:
    file = written(tmp_path / "items.csv", "item_id~title\ni1~Lamp\n")
    with pytest.raises(BadInputError, match=r"no column 'item_id' \(its columns: item_id~title\).*`--separator`"):
        read(file)
    assert read(file, separator="~") == [(2, item("i1", "Lamp"))]
    assert read(written(tmp_path / "items.tsv", "item_id\ttitle, long\ni1\tLamp\n"))[0][1]["title, long"] == "Lamp"


def test_the_contracts_own_name_wins_over_one_of_other_case(tmp_path: Path) -> None:
    row = {"item_id": "i1", "Price": "dear", "price": "2", "ITEM_ID": "x"}
    for file in every_file(tmp_path, [row]):
        assert [content for _, content in read(file)] == [row], file.name


def test_a_column_that_is_there_twice_is_said_with_file_and_column(tmp_path: Path) -> None:
    two = pa.Table.from_arrays([pa.array(["i1"]), pa.array([1]), pa.array([2])], ["item_id", "price", "price"])
    for file in (
        written(tmp_path / "a.csv", "item_id,price, price\ni1,1,2\n"),
        written(tmp_path / "a.parquet", parquet(two)),
    ):
        with pytest.raises(BadInputError, match=rf"{file.name} has 2 columns 'price'"):
            read(file)
    with pytest.raises(BadInputError, match=r"b.csv has 2 columns 'item_id' \('item_id', 'sku'\)"):
        read(written(tmp_path / "b.csv", "item_id,sku\ni1,i2\n"), names={"sku": "item_id"})
    rows = read(written(tmp_path / "c.jsonl", '{"sku":1e2}\n{"sku":1,"item_id":2}\n'), names={"sku": "item_id"})
    assert rows == [(1, {"item_id": 100.0}), (2, "'item_id' and 'sku' are both there: {\"sku\":1,\"item_id\":2}")]


def test_renaming_a_field_leaves_every_value_as_it_is_written(tmp_path: Path) -> None:
    text = '{"sku" : 1E2, "n":12345678901234567890.10,"s":"\\u00e9\\"", "o":{"sku":[1 ,2]}}'
    file = written(tmp_path / "a.jsonl", text)
    (part,) = parts_of(find_files([file])[0], Expected("item_id", names={"sku": "item_id"}))
    ((raw, _),) = part.rows()
    renamed = '{"item_id":1E2,"n":12345678901234567890.10,"s":"\\u00e9\\"","o":{"sku":[1 ,2]}}'
    assert raw.to_pylist() == [renamed]


def test_bytes_that_are_no_text_are_refused_with_their_place_and_seen(tmp_path: Path) -> None:
    json_file = written(
        tmp_path / "a.jsonl", b'{"item_id":"i1"}\n{"item_id":"caf\xe9"}\n{"item_id":"\\\xe9"}\n{"item_id":"i4"}\n'
    )
    assert read(json_file) == [
        (1, {"item_id": "i1"}),
        (2, 'not UTF-8: {"item_id":"caf\\xe9"}'),
        (3, 'not UTF-8: {"item_id":"\\\\xe9"}'),
        (4, {"item_id": "i4"}),
    ]
    odd_name = written(tmp_path / "b.jsonl", b'{"item_id":"i1"}\n{"item_id":"i2","\xe9":1}')
    assert read(odd_name, names={"id": "item_id"})[1] == (2, 'not UTF-8: {"item_id":"i2","\\xe9":1}')
    csv_file = written(tmp_path / "a.csv", b"item_id,title\ni1,caf\xe9\ni2,caf\xc3\xa9\ni3\xff\n")
    assert read(csv_file) == [
        (2, 'not UTF-8: {"item_id":"i1","title":"caf\\xe9"}'),
        (3, item("i2", "café")),
        (4, "1 fields, the header has 2: i3\\xff"),
    ]
    table = pa.table({"item_id": ["i1", "i2"], "title": pa.array([b"caf\xe9", b"ok"])})
    assert read(written(tmp_path / "a.parquet", parquet(table))) == [
        (1, 'not UTF-8: {"item_id":"i1","title":"caf\\xe9"}'),
        (2, item("i2", "ok")),
    ]


def test_times_of_every_unit_are_taken_to_the_microsecond(tmp_path: Path) -> None:
    moment = pd.Timestamp("2026-11-19T10:00:00.123456789")
    frame = pd.DataFrame({"item_id": ["i1"], "timestamp": [moment], "zoned": [moment.tz_localize("Europe/Berlin")]})
    frame["timestamp"] = frame["timestamp"].astype("datetime64[ns]")
    table = pa.Table.from_pandas(frame)
    assert str(table.schema.field("timestamp").type) == "timestamp[ns]"
    table = table.append_column("s", pa.array([1_000_000_000], pa.timestamp("s")))
    table = table.append_column("ms", pa.array([1_000_000_000_001], pa.timestamp("ms", "UTC")))
    table = table.append_column("day", pa.array([date(2026, 1, 2)], pa.date64()))
    table = table.append_column("time", pa.array([36_000], pa.time32("s")))
    table = table.append_column("never", pa.array([2**62], pa.timestamp("ms")))
    assert read(written(tmp_path / "a.parquet", parquet(table))) == [
        (
            1,
            {
                "item_id": "i1",
                "timestamp": "2026-11-19T10:00:00.123456Z",
                "zoned": "2026-11-19T09:00:00.123456Z",
                "s": "2001-09-09T01:46:40.000000",
                "ms": "2001-09-09T01:46:40.001000Z",
                "day": "2026-01-02",
                "time": "10:00:00.000000",
                "never": "4611686018427387904 ms",
            },
        )
    ]


def test_types_of_parquet_that_are_text_or_numbers_become_those(tmp_path: Path) -> None:
    ids = {
        "item_id": pa.array([2**64 - 1, 7], pa.uint64()),
        "user_id": pa.array([Decimal("12345678901234567890123456789"), Decimal(7)], pa.decimal128(38, 0)),
        "request_id": pa.array([12, None], pa.int8()).dictionary_encode(),
    }
    more = {
        "binary": pa.array([b"caf\xc3\xa9", None]),
        "large": pa.array(["a\tb", ""], pa.large_string()),
        "dictionary": pa.array(["x", "y"]).dictionary_encode(),
        "price": pa.array([Decimal("1.50"), None], pa.decimal128(9, 2)),
        "float": pa.array([0.1, float("nan")], pa.float32()),
        "list": pa.array([["a", None], []]),
        "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
        "struct": pa.array([{"a": 1, "b": None}, None], pa.struct([("a", pa.int64()), ("b", pa.string())])),
    }
    assert read(written(tmp_path / "a.parquet", parquet(pa.table({**ids, **more})))) == [
        (
            1,
            {
                "item_id": "18446744073709551615",
                "user_id": "12345678901234567890123456789",
                "request_id": "12",
                "binary": "café",
                "large": "a\tb",
                "dictionary": "x",
                "price": 1.5,
                "float": 0.1,
                "list": ["a", None],
                "map": {"k": 1},
                "struct": {"a": 1},
            },
        ),
        (2, {"item_id": "7", "user_id": "7", "dictionary": "y", "list": []}),
    ]


@pytest.mark.parametrize(
    ("column", "values", "kind"),
    [
        ("wait", pa.array([1], pa.duration("s")), r"duration\[s\]"),
        ("inner", pa.array([[1]], pa.list_(pa.duration("ms"))), r"duration\[ms\]"),
        ("title", pa.array([["a"]]), "list<"),
        ("key", pa.array([b"\xff\xfe\x00\x01"], pa.binary(4)), r"fixed_size_binary\[4\]"),
    ],
)
def test_a_column_of_another_type_is_said_with_file_column_and_type(
    column: str, values: pa.Array, kind: str, tmp_path: Path
) -> None:
    file = written(tmp_path / "a.parquet", parquet(pa.table({"item_id": ["i1"], column: values})))
    with pytest.raises(BadInputError, match=rf"a.parquet: column '{column}' is {kind}"):
        read(file, scalars=["title"])


def test_folders_that_name_a_value_give_a_column_to_every_kind_of_file(tmp_path: Path) -> None:
    rows = [item("i1", "Lamp"), {"item_id": "i2", "shop": "own"}]
    folder = tmp_path / "shop=N%C3%B8rth" / "year=2026" / "none=__HIVE_DEFAULT_PARTITION__"
    written(folder / "a.csv", csv_text(rows[:1]))
    written(folder / "b.jsonl", json_text(rows))
    written(folder / "c.parquet", parquet(pa.Table.from_pylist([*rows[:1]])))
    said = {"shop": "Nørth", "year": "2026"}
    assert sorted((number, row["shop"], row["year"]) for number, row in read(tmp_path)) == [
        (1, "Nørth", "2026"),
        (1, "Nørth", "2026"),
        (2, "Nørth", "2026"),
        (2, "own", "2026"),
    ]
    assert find_files([tmp_path])[0].constants == said
    assert find_files([tmp_path])[0].source.startswith("file:shop=N%C3%B8rth/year=2026/none=")
    assert read(written(tmp_path / "event_type=view" / "e.csv", "a\n1\n"), "event_type")[0][1]["event_type"] == "view"


def test_the_same_file_named_twice_is_one(tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", "item_id\ni1\n")
    assert len(find_files([file, tmp_path])) == 1


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv.gz", b"item_id\ni1\n", "is not a gzip file. Leave out the ending .gz"),
        ("a.csv.bz2", b"item_id\ni1\n", "is not a bzip2 file"),
        ("a.jsonl.zst", b'{"item_id":1}\n', "is not a Zstandard file. Leave out the ending .zst"),
        ("a.csv", gzip.compress(b"item_id\n", mtime=0), "is a gzip file. Add the ending .gz"),
        ("a.csv", "item_id\ni1\n".encode("utf-16"), "is UTF-16, expected text in UTF-8"),
        ("a.csv", "item_id\ni1\n".encode("utf-16-le"), "is not text, or is UTF-16"),
        ("a.csv", b"PK\x03\x04 and more", "is a ZIP file or a workbook"),
        ("a.csv", b"item_id,caf\xe9\n1,2\n", "does not begin with a header in UTF-8"),
        ("a.parquet", b"item_id\ni1\n", "is not a Parquet file, or is damaged"),
        ("a.parquet", b"", "is not a Parquet file, or is damaged"),
        ("a.json", b'[\n{"item_id": 1},\n{"item_id": 2}\n]', "is one JSON document, expected an object per line"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_said_in_one_sentence(
    name: str, content: bytes, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInputError, match=f"{name}.* {sentence}"):
        read(written(tmp_path / name, content))


def long_text() -> bytes:
    random.seed(3)
    return ("item_id\n" + "".join(f"i{random.getrandbits(64)}\n" for _ in range(200_000))).encode()


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".zst"])
def test_a_compressed_file_that_breaks_off_at_its_end_is_said_before_a_row_is_taken(
    ending: str, tmp_path: Path
) -> None:
    file = written(tmp_path / f"a.csv{ending}", COMPRESSED[ending](long_text())[:-5])
    with pytest.raises(BadInputError, match=rf"a.csv{ending} is damaged, no row of it was imported"):
        parts_of(find_files([file])[0], Expected("item_id"))


def test_a_parquet_file_damaged_in_the_middle_is_said_before_a_row_is_taken(tmp_path: Path) -> None:
    whole = bytearray(parquet(pa.table({"item_id": [f"i{n}" for n in range(50_000)]})))
    whole[len(whole) // 3 : len(whole) // 3 + 5000] = bytes(5000)
    file = written(tmp_path / "a.parquet", bytes(whole))
    with pytest.raises(
        BadInputError, match=r"a.parquet is not a Parquet file, or is damaged: no row of it was imported"
    ):
        parts_of(find_files([file])[0], Expected("item_id"))


def test_only_line_feeds_and_carriage_returns_end_a_line(tmp_path: Path) -> None:
    titles = ["a\x85b", "a\u2028b", "a\x0bb", "a\x0cb", "a\x1cb"]
    rows = [item(f"i{n}", title) for n, title in enumerate(titles)]
    for number, end in enumerate(["\n", "\r\n", "\r"]):
        text = end.join(["item_id,title", *(",".join(row.values()) for row in rows)])
        assert [row for _, row in read(written(tmp_path / f"{number}.csv", text))] == rows
        lines = end.join(json.dumps(row, ensure_ascii=False) for row in rows)
        assert read(written(tmp_path / f"{number}.jsonl", lines)) == list(enumerate(rows, 1))


def test_a_header_may_be_quoted_marked_or_alone_and_a_file_may_be_empty(tmp_path: Path) -> None:
    quoted = '\ufeff"item_id","title ""long""","",""\r\ni1,Lamp,,x\r\n'
    assert read(written(tmp_path / "a.csv", quoted)) == [
        (2, {"item_id": "i1", 'title "long"': "Lamp", "column 4": "x"})
    ]
    assert read(written(tmp_path / "b.csv", "\n\nitem_id,title")) == []
    assert read(written(tmp_path / "c.csv", "")) == []
    assert read(written(tmp_path / "d.jsonl", "\n")) == []
    assert read(written(tmp_path / "e.csv.gz", b"")) == []
    assert read(written(tmp_path / "f.csv.zst", zstd(b""))) == []
    assert read(written(tmp_path / "g.csv.bz2", bz2.compress(b"\xef\xbb\xbfitem_id\r\ni1"))) == [(2, {"item_id": "i1"})]


def test_a_line_that_is_far_too_long_is_refused_and_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_lines, "LONGEST", 100)
    text = "item_id,title\ni1," + "x" * 1000 + "\ni2,Chair\n"
    rows = read(written(tmp_path / "a.csv", text))
    assert [number for number, _ in rows] == [2, 3]
    assert rows[0][1].startswith("more than 1,048,576 characters: i1,xxx")
    lines = read(
        written(tmp_path / "a.jsonl", '{"item_id":"i0"}\n{"item_id":"' + "x" * 1000 + '"}\n{"item_id":"i2"}\n')
    )
    assert [number for number, _ in lines] == [1, 2, 3]
    assert lines[1][1].startswith("more than")


def test_every_writer_says_the_same_of_the_same_rows(tmp_path: Path) -> None:
    rows = [
        item("007", 'a "quoted", one', brand="Ø\u2028x", text="two\nlines"),
        item("1E2", "C:\\", brand="\\n", text=" spaces "),
        item("12345678901234567890", "tab\tand|bar;", brand="null", text="😀"),
    ]
    for file in every_file(tmp_path, rows):
        assert [row for _, row in read(file)] == rows, file.name
