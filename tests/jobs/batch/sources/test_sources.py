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


TITLES = ["Wait\x85 What?", "One\u2028Two", "Tab\x0bFeed\x0cEnd", "Three\x1cFour", "Plain"]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("ending", ["dat", "csv"])
def test_a_title_with_a_line_end_that_the_format_does_not_know_stays_one_film(
    tmp_path: Path, ending: str, encoding: str
) -> None:
    titles = [title for title in TITLES if encoding == "utf-8" or "\u2028" not in title]
    dat, form = ending == "dat", "{}::{} (2001)::Comedy\n" if ending == "dat" else '{},"{} (2001)",Comedy\n'
    films = "".join(form.format(number, title) for number, title in enumerate(titles))
    (tmp_path / f"movies.{ending}").write_bytes((("" if dat else "movieId,title,genres\n") + films).encode(encoding))
    (tmp_path / f"ratings.{ending}").write_text(
        "1::0::4::978300760.0004\n" if dat else "userId,movieId,rating,timestamp\n1,0,4,978300760.0004\n"
    )
    assert movielens.main([str(tmp_path), "--output", str(tmp_path / "out")]) == 0
    assert pd.read_parquet(tmp_path / "out" / "items.parquet")["title"].tolist() == titles
    assert isinstance(judged(tmp_path / "out" / "events.parquet")[0], Event)


def test_a_line_break_inside_quotes_is_part_of_the_title(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,NA,4,978300760\n")
    (tmp_path / "movies.csv").write_text('movieId,title,genres\r\nNA,"One\r\nTwo (1997)",Action\r\n007,null,\r\n')
    movielens.write(tmp_path, tmp_path / "out")
    films = pd.read_parquet(tmp_path / "out" / "items.parquet")
    assert (films["item_id"].tolist(), films["title"].tolist()) == (["NA", "007"], ["One\r\nTwo", "null"])


INVOICE = "InvoiceNo;StockCode;Description;Quantity;InvoiceDate;UnitPrice;CustomerID;Country\n"


def invoices(folder: Path, *lines: str) -> list[Event | Rejection]:
    """What the platform gets of lines of `customer;quantity;date;price`."""
    folder.mkdir(exist_ok=True)
    rows = [line.split(";") for line in lines]
    texts = [f"{n};NA;Lamp;{amount};{date};{price};{who};UK\n" for n, (who, amount, date, price) in enumerate(rows)]
    (folder / "lines.csv").write_text(INVOICE + "".join(texts))
    online_retail.write(folder, folder / "out")
    return judged(folder / "out" / "events.parquet")


def test_dates_of_invoices_are_read_the_same_way_in_the_whole_file_and_which_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    day_first = ("007;1;1/12/2010 8:26;2.5", "7;1;13/12/2010 9:00;2.5", "7;1;14/12/2010 9:00;3", "8;1;12/13/2010;2.5")
    *good, refused = invoices(tmp_path / "a", *day_first)
    read = [(each.user_id, each.item_id, f"{each.timestamp:%d %b %H:%M}") for each in good if isinstance(each, Event)]
    assert read == [("007", "NA", "01 Dec 08:26"), ("7", "NA", "13 Dec 09:00"), ("7", "NA", "14 Dec 09:00")]
    assert isinstance(refused, Rejection) and (refused.reason, "'12/13/2010'" in refused.message) == (
        "bad_timestamp", True,
    )  # fmt: skip
    assert capsys.readouterr().out == (
        "lines.csv: dates such as '1/12/2010 8:26' are read day first ('13/12/2010 9:00' is unambiguous); 1 in "
        "another format are refused, such as '12/13/2010'\n"
    )
    first, _ = invoices(tmp_path / "b", "7;1;1/12/2010 1:05 PM;2.5", "7;1;1/13/2010 9:00 AM;2.5")
    assert isinstance(first, Event) and f"{first.timestamp:%d %b %H:%M}" == "12 Jan 13:05"
    with pytest.raises(
        BadInputError, match=r"'1/12/2010' are ambiguous \(day first or month first\).*--dates day-first"
    ):
        invoices(tmp_path / "c", "7;1;1/12/2010;2.5")
    assert (
        online_retail.main([str(tmp_path / "c"), "--output", str(tmp_path / "c" / "out"), "--dates", "day-first"]) == 0
    )
    (told,) = judged(tmp_path / "c" / "out" / "events.parquet")
    assert isinstance(told, Event) and f"{told.timestamp:%d %b}" == "01 Dec"


def test_numbers_of_invoices_are_read_with_one_decimal_mark_in_the_whole_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def read(name: str, *numbers: str) -> list[tuple[float | None, float | None] | str]:
        lines = [f"7;{quantity};2010-12-01 08:26:00;{price}" for quantity, price in (each.split() for each in numbers)]
        return [
            (each.value, each.price) if isinstance(each, Event) else f"{each.reason} {each.message}"
            for each in invoices(tmp_path / name, *lines)
        ]

    assert read("comma", "1.000 1.234,56", "2 2,5") == [(1000, 1234.56), (2, 2.5)]
    said = capsys.readouterr().out
    assert said.startswith(
        "lines.csv: numbers such as '1.000' are read with a decimal comma ('1.234,56' is unambiguous)"
    )
    with pytest.raises(BadInputError, match=r"have a decimal comma \('1.234,56'\), 1 a decimal point \('2.5'\)"):
        read("both", "1.000 1.234,56", "2 2,5", "3 2.5")
    assert read("point", "1,000 1,234.56", "-2 2.5", "2,5 1") == [
        (1000, 1234.56), (2, 2.5), "bad_value '2,5' is not a number",
    ]  # fmt: skip
    assert "lines.csv: numbers such as '1,000' are read with a decimal point" in capsys.readouterr().out
    assert read("usual", "6 2.55", "1e1 3") == [(6, 2.55), (10, 3)]
    assert capsys.readouterr().out == ""
    with pytest.raises(BadInputError, match=r"'1\.000' are ambiguous \(decimal point or decimal comma"):
        read("either", "1.000 2")


def test_customers_that_a_program_wrote_as_floats_are_whole_numbers_and_other_ids_their_texts(tmp_path: Path) -> None:
    def customers(*ids: str) -> list[str | None]:
        made = invoices(tmp_path / ids[1], *(f"{each};1;2010-12-01;1" for each in ids))
        return [each.user_id for each in made if isinstance(each, Event)]

    assert customers("17850.0", "12345.0", "") == ["17850", "12345", None]
    assert customers("17850.0", "17850", "null", "0017850") == ["17850.0", "17850", "null", "0017850"]


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
    assert "is not a data set in a supported format" in capsys.readouterr().err
