"""Ratings and invoices become events of the contract: nothing invented, nothing left out, ids that stay."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from headrace.errors import BadInputError
from headrace.events import INTEREST_TYPES, Event, EventType, Rejection, parse_event
from jobs.batch.sources import __main__ as sources
from jobs.batch.sources import movielens, online_retail

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def judged(path: Path) -> list[Event | Rejection]:
    table = pd.read_parquet(path)
    rows: list[dict[str, Any]] = [
        {name: value for name, value in row.items() if not pd.isna(value)} for row in table.to_dict("records")
    ]
    return [parse_event(row, NOW) for row in rows]


def test_dat_files_in_latin_1_become_ratings_films_and_profiles(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1::7::4::978300760\n1::7::4::978300760\n2::8::4.5::978300761\n")
    films = "7::Amélie (2001)::Comedy|Romance\n8::Plain::(no genres listed)\n"
    (tmp_path / "movies.dat").write_bytes(films.encode("latin-1"))
    (tmp_path / "users.dat").write_text("1::F::25::10::48067\n")
    assert movielens.main([str(tmp_path), "--output", str(tmp_path / "out")]) == 0
    first, again, other = judged(tmp_path / "out" / "events.parquet")
    assert isinstance(first, Event) and isinstance(again, Event) and isinstance(other, Event)
    assert (first.event_id, first.event_type, first.user_id, first.item_id, first.value) == (
        "ml-1-7-978300760", "rating", "1", "7", 8.0,
    )  # fmt: skip
    assert again.event_id == "ml-1-7-978300760-2"
    assert first.timestamp == datetime(2000, 12, 31, 22, 12, 40, tzinfo=UTC)
    assert other.value == 9.0
    amelie, plain = pd.read_parquet(tmp_path / "out" / "items.parquet").to_dict("records")
    assert (amelie["title"], amelie["year"], amelie["category_1"], amelie["category_2"], amelie["text"]) == (
        "Amélie", "2001", "Comedy", "Comedy|Romance", "amélie comedy romance",
    )  # fmt: skip
    assert (plain["title"], pd.isna(plain["category_1"]), pd.isna(plain["year"])) == ("Plain", True, True)
    assert pd.read_parquet(tmp_path / "out" / "users.parquet").to_dict("records") == [
        {"user_id": "1", "gender": "F", "age": "25", "occupation": "10"}
    ]


def test_csv_files_give_the_same_and_bad_lines_are_refused_with_a_reason(tmp_path: Path) -> None:
    lines = ["1,7,4.0,978300760", "1,8,good,978300761", "1,9", ",7,3,978300762", "1,7,6,978300763", "1,7,5,soon"]
    (tmp_path / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *lines]))
    (tmp_path / "movies.csv").write_text('movieId,title,genres\n7,"Saint, The (1997)",Action\n')
    movielens.write(tmp_path, tmp_path / "out")
    good, *bad = judged(tmp_path / "out" / "events.parquet")
    assert isinstance(good, Event) and (good.event_id, good.value) == ("ml-1-7-978300760", 8.0)
    assert [each.reason for each in bad if isinstance(each, Rejection)] == [
        "bad_value", "missing_timestamp", "missing_subject", "bad_value", "bad_timestamp",
    ]  # fmt: skip
    assert pd.read_parquet(tmp_path / "out" / "items.parquet")["title"].tolist() == ["Saint, The"]
    with pytest.raises(BadInputError, match=r"has neither ratings.dat nor ratings.csv"):
        movielens.write(tmp_path / "out", tmp_path / "out")


def test_invoices_become_purchases_and_returns_and_corrections_are_refused(tmp_path: Path) -> None:
    (tmp_path / "lines.csv").write_text(
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        "536365,85123A,WHITE HEART,6,2010-12-01 08:26:00,2.55,17850,United Kingdom\n"
        "536365,85123A,WHITE HEART,1,2010-12-01 08:26:00,2.55,17850,United Kingdom\n"
        "C536379,85123A,WHITE HEART,-2,2010-12-01 09:41:00,2.55,17850,United Kingdom\n"
        "536414,22139,,56,2010-12-01 11:52:00,0,,United Kingdom\n"
        "536589,21777,damaged,-10,2010-12-01 16:50:00,0,,United Kingdom\n"
        "A563186,B,Adjust bad debt,1,2011-08-12 14:51:00,-11062.06,,United Kingdom\n"
    )
    assert online_retail.main([str(tmp_path), "--output", str(tmp_path / "out")]) == 0
    bought, again, returned, nobody, stock, debt = judged(tmp_path / "out" / "events.parquet")
    assert isinstance(bought, Event) and isinstance(again, Event) and isinstance(returned, Event)
    assert (bought.event_id, bought.event_type, bought.user_id, bought.value, bought.price) == (
        "or-536365-85123A", "purchase", "17850", 6.0, 2.55,
    )  # fmt: skip
    assert again.event_id == "or-536365-85123A-2"
    assert (returned.event_type, returned.value) == ("return", 2.0)
    assert isinstance(nobody, Event) and nobody.subject_id == "session:536414"
    assert isinstance(stock, Rejection) and (stock.reason, stock.field) == ("bad_value", "value")
    assert isinstance(debt, Rejection) and (debt.reason, debt.field) == ("bad_value", "price")
    catalogue = pd.read_parquet(tmp_path / "out" / "items.parquet").set_index("item_id")
    assert (catalogue.loc["85123A", "title"], catalogue.loc["85123A", "available"]) == ("White heart", True)
    assert not catalogue.loc["B", "available"]


def test_a_return_is_no_sign_of_interest() -> None:
    assert EventType.RETURN not in INTEREST_TYPES
    assert EventType.PURCHASE in INTEREST_TYPES


def test_a_folder_is_known_by_its_files_and_the_day_to_compute_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ratings = "1::7::4::978300760\n2::7::9::978200000\n2::8::3::soon\n"
    (tmp_path / "ratings.dat").write_text(ratings)
    (tmp_path / "movies.dat").write_text("7::Heat (1995)::Action\n8::Plain::Drama\n")
    out = tmp_path / "out"
    assert sources.main([str(tmp_path), "--output", str(out), "--scale", "10"]) == 0
    assert "events from 2000-12-30 to 2000-12-31; afterwards: headrace run daily --day 2000-12-31" in (
        capsys.readouterr().out
    )
    assert [each.value for each in judged(out / "events.parquet") if isinstance(each, Event)] == [4, 9]
    (tmp_path / "empty").mkdir()
    assert sources.main([str(tmp_path / "empty"), "--output", str(out)]) == 1
    assert "is no data set of a known form" in capsys.readouterr().err
