"""Files of other people: every honest one is read as it was meant, or said in a sentence; nothing is halved."""

from __future__ import annotations

import bz2
import gzip
import json
import random
from pathlib import Path

import pyarrow as pa
import pytest

from headrace.errors import BadInputError
from jobs.batch.ingest.readers import text_lines
from jobs.batch.ingest.readers.file_parts import Expected, parts_of
from jobs.batch.ingest.readers.files import find_files
from tests.jobs.batch.ingest.file_writers import COMPRESSED, csv_text, every_file, json_text, parquet, zstd
from tests.jobs.batch.ingest.reading import item, read, written


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
