from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

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
