from __future__ import annotations

import csv
import gzip
import io
import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.errors import BadInputError
from headrace.events import Rejection, judge_event
from infra.plain_files import Completed, completed, read_columns

END = datetime(2026, 11, 23, tzinfo=UTC)


def rows_of(folder: Path, name: str, text: str, **names: str) -> list[dict[str, object]]:
    """What the platform gets of a file of that text; `names`: theirs=ours."""
    (folder / name).write_text(text)
    (file,) = completed([folder / name], names, folder, END).files
    return pq.read_table(file).to_pylist()


def test_a_file_of_nothing_but_ids_becomes_events_spread_over_ten_days(tmp_path: Path):
    lines = "".join(f"u{n % 50},i{n}\n" for n in range(1000))
    rows = rows_of(tmp_path, "ids.csv", f"who,what\n{lines}", who="user_id", what="item_id")
    assert (rows[0]["user_id"], rows[0]["item_id"], rows[0]["event_type"]) == ("u0", "i0", "like")
    assert len({row["event_id"] for row in rows}) == 1000
    last_tenth = [row for row in rows if row["timestamp"] >= END - timedelta(days=1)]
    assert 60 < len(last_tenth) < 140
    assert min(row["timestamp"] for row in rows) >= END - timedelta(days=10)
    assert rows == rows_of(tmp_path, "ids.csv", f"who,what\n{lines}", who="user_id", what="item_id")
    for row in rows[:20]:
        judged = judge_event({**row, "timestamp": row["timestamp"].isoformat()}, received_at=END)
        assert not isinstance(judged, Rejection)


def test_ratings_with_seconds_since_1970_need_no_more_than_other_names(tmp_path: Path):
    text = '{"userId": 7, "movieId": 42, "rating": 8, "timestamp": 978300760}\n'
    names = {"userId": "user_id", "movieId": "item_id", "rating": "value"}
    (row,) = rows_of(tmp_path, "ratings.jsonl", text, **names)
    assert (row["event_type"], row["value"], row["timestamp"]) == ("rating", 8, 978300760000)


def test_a_file_that_lacks_nothing_or_cannot_be_read_as_a_whole_goes_on_as_it_is(tmp_path: Path):
    whole, odd = tmp_path / "whole.csv", tmp_path / "odd.csv"
    whole.write_text("event_id,event_type,user_id,item_id,timestamp\ne,view,u,i,2026-11-01T00:00:00Z\n")
    odd.write_text("user_id,item_id\nu,i\nu,i,and more\n")
    assert completed([whole, odd], {}, tmp_path, END) == Completed([whole, odd], without_times=False)


def test_a_file_without_items_is_named_with_the_option_that_mends_it(tmp_path: Path):
    (tmp_path / "users.csv").write_text("user_id,sku\nu,i\n")
    with pytest.raises(BadInputError, match=r"no column 'item_id' \(its columns: user_id, sku\).*--map THEIRS=item_id"):
        completed([tmp_path / "users.csv"], {}, tmp_path, END)
    assert read_columns(tmp_path / "users.csv", {"sku": "item_id"}, ["item_id"]).num_rows == 1


def test_only_files_all_of_whose_times_are_made_up_are_without_times(tmp_path: Path):
    (tmp_path / "ids.csv").write_text("user_id,item_id\nu,i\n")
    (tmp_path / "timed.csv").write_text("user_id,item_id,timestamp\nu,i,978300760\n")
    ids, timed = tmp_path / "ids.csv", tmp_path / "timed.csv"
    assert completed([ids], {}, tmp_path, END).without_times
    assert not completed([timed], {}, tmp_path, END).without_times
    assert not completed([ids, timed], {}, tmp_path, END).without_times


ODD_IDS = ["007", "7", "1E2", "100", "12345678901234567890", "12345678901234567891", "NA", "null"]
ODD_IDS += ["2026-11-01", "true", "7.0", "é,\n x"]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "csv.gz"])
def test_every_id_is_its_text_letter_for_letter(tmp_path: Path, ending: str):
    file = tmp_path / f"ids.{ending}"
    if ending == "parquet":
        pq.write_table(pa.table({"user_id": ODD_IDS, "item_id": ODD_IDS}), file)
    elif ending == "jsonl":
        file.write_text("".join(json.dumps({"user_id": text, "item_id": text}) + "\n" for text in ODD_IDS))
    else:
        lines = io.StringIO(newline="")
        csv.writer(lines).writerows([("user_id", "item_id"), *((text, text) for text in ODD_IDS)])
        (gzip.open if ending == "csv.gz" else open)(file, "wb").write(lines.getvalue().encode())
    (whole,) = completed([file], {}, tmp_path, END).files
    for column in ("user_id", "item_id"):
        assert read_columns(file, {}, ["user_id"]).column(column).to_pylist() == ODD_IDS
        assert pq.read_table(whole).column(column).to_pylist() == ODD_IDS


def test_whole_numbers_are_their_digits_also_where_a_missing_value_made_them_floats(tmp_path: Path):
    def ids(column: pa.Array) -> list[str | None]:
        pq.write_table(pa.table({"user_id": column}), tmp_path / "ids.parquet")
        return read_columns(tmp_path / "ids.parquet", {}, ["user_id"]).column("user_id").to_pylist()

    assert ids(pa.array([7, None, 2**63 - 1])) == ["7", None, "9223372036854775807"]
    assert ids(pa.array([2**64 - 1], pa.uint64())) == ["18446744073709551615"]
    assert ids(pa.array([7.0, None, math.nan, 8.0])) == ["7", None, None, "8"]
    assert ids(pa.array(["007", "7"]).dictionary_encode()) == ["007", "7"]
    for unsure in (pa.array([7.0, 7.5]), pa.array([1.0, 1e17]), pa.array([3.0, 2.0**24], pa.float32())):
        with pytest.raises(BadInputError, match=r"^ids.parquet, row 2: 'user_id' is the number .*Write ids as text"):
            ids(unsure)
    with pytest.raises(BadInputError, match="column 'user_id' is of type bool, which cannot be an id"):
        ids(pa.array([True]))


def test_json_numbers_are_their_digits_beside_texts_and_however_long(tmp_path: Path):
    lines = ('{"user_id": 7}', '{"user_id": "007"}', '{"user_id": 12345678901234567891}', '{"user_id": null}')
    (tmp_path / "ids.jsonl").write_text("\n".join(lines))
    table = read_columns(tmp_path / "ids.jsonl", {}, ["user_id"])
    assert table.column("user_id").to_pylist() == ["7", "007", "12345678901234567891", None]


def test_a_column_given_twice_is_named(tmp_path: Path):
    (tmp_path / "ids.csv").write_text("user_id,sku,item_id\nu,a,b\n")
    with pytest.raises(BadInputError, match="has two columns 'item_id'"):
        read_columns(tmp_path / "ids.csv", {"sku": "item_id"}, ["item_id"])
