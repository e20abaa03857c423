"""CSV of other people: RFC 4180, any separator, cut only where no quote is open."""

from __future__ import annotations

import csv
import gzip
import io
import random
from pathlib import Path

import pyarrow as pa
import pytest

from headrace.errors import BadInputError
from jobs.batch.ingest.readers import text_cuts, text_lines
from tests.jobs.batch.ingest.file_writers import COMPRESSED, csv_text, every_file, json_text, parquet
from tests.jobs.batch.ingest.reading import Read, item, read, written


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
