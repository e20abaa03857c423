"""Dates and numbers of invoices in the formats of different countries: one format per file, which is reported.

`1/12/2010` is the first of December or the twelfth of January, `1.234` is a thousand and more or a little above one:
the file's unambiguous rows decide. A text in another format is left unchanged, so that the contract refuses its row
and shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

from headrace.errors import BadInputError

Order = Literal["day-first", "month-first"]
ORDERS: tuple[Order, ...] = ("day-first", "month-first")
_CLOCK = r"(?:[ T,]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?\s*(?P<half>[AaPp]\.?[Mm]\.?)?)?"
_YEAR_FIRST = rf"^(?P<year>\d{{4}})[-/.](?P<one>\d{{1,2}})[-/.](?P<two>\d{{1,2}}){_CLOCK}$"
_YEAR_LAST = rf"^(?P<one>\d{{1,2}})[-/.](?P<two>\d{{1,2}})[-/.](?P<year>\d{{4}}|\d{{2}}){_CLOCK}$"
_POINT = r"^[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.\d*)?(?:[eE][+-]?\d+)?$"
_COMMA = r"^[+-]?(?:\d+|\d{1,3}(?:\.\d{3})+)(?:,\d*)?$"


def dates(texts: pd.Series[str], file: str, order: Order | None = None) -> tuple[pd.Series[str], str]:
    """The column in ISO 8601, and how it was read; `order` is that of ambiguous dates.

    Without it the unambiguous rows decide. Raises BadInputError where there is none.
    """
    parts = texts.str.extract(_YEAR_LAST)
    one, two = (pd.to_numeric(parts[name]).astype("float64") for name in ("one", "two"))
    day_first, month_first = texts[(one > 12) & (two <= 12)], texts[(two > 12) & (one <= 12)]
    if order is None and len(day_first) == len(month_first):
        if unsure := texts[one.notna()].tolist()[:1]:
            raise BadInputError(
                f"{file}: dates such as '{unsure[0]}' are ambiguous (day first or month first), like all other rows",
                "Give the order with --dates day-first or --dates month-first",
            )
        order = "day-first"  # no date is written that way
    order = order or ("day-first" if len(day_first) > len(month_first) else "month-first")
    unambiguous, others = (day_first, month_first) if order == "day-first" else (month_first, day_first)
    day, month = (one, two) if order == "day-first" else (two, one)
    iso = _iso(texts.str.extract(_YEAR_FIRST)).fillna(_iso(parts.assign(one=month, two=day)))
    reading = _reading(f"{file}: dates", order.replace("-", " "), texts[one.notna()], unambiguous, others)
    return iso.fillna(texts), reading


def numbers(columns: Mapping[str, pd.Series[str]], file: str) -> tuple[dict[str, pd.Series[str]], str]:
    """The columns, of one file, with a decimal point and without thousands separators; and how they were read.

    Raises BadInputError where the file's numbers are ambiguous, or use both formats.
    """
    texts = pd.concat(list(columns.values()))
    marked = texts[texts.str.contains("[.,]", na=False)]
    point, comma = marked.str.fullmatch(_POINT), marked.str.fullmatch(_COMMA)
    only_point, only_comma = marked[point & ~comma], marked[comma & ~point]
    if len(only_point) == len(only_comma) and (point & comma).any():
        raise BadInputError(
            f"{file}: numbers such as '{marked[point & comma].iloc[0]}' are ambiguous (decimal point or decimal "
            "comma), and so are all other rows",
            "Write them without thousands separators",
        )
    if len(only_comma) > len(only_point):
        if len(only_point):  # the contract would read it as another number
            raise BadInputError(
                f"{file}: most numbers have a decimal comma ('{only_comma.iloc[0]}'), {len(only_point):,} a decimal "
                f"point ('{only_point.iloc[0]}')",
                "Write all of them in one format",
            )
        read, thousands, decimal = _COMMA, ".", ","
        reading = _reading(f"{file}: numbers", "with a decimal comma", marked, only_comma, only_point)
    else:
        read, thousands, decimal = _POINT, ",", "."
        with_comma = marked[marked.str.contains(",", regex=False)]
        reading = _reading(f"{file}: numbers", "with a decimal point", with_comma, only_point, only_comma)

    def plain(column: pd.Series[str]) -> pd.Series[str]:
        fits = column.str.fullmatch(read).fillna(False).astype(bool)
        without = column.str.replace(thousands, "", regex=False).str.replace(decimal, ".", regex=False)
        return without.where(fits, column)

    return {name: plain(column) for name, column in columns.items()}, reading


def _reading(what: str, how: str, read: pd.Series[str], unambiguous: pd.Series[str], others: pd.Series[str]) -> str:
    if read.empty:
        return ""
    because = f" ('{unambiguous.iloc[0]}' is unambiguous)" if len(unambiguous) else ""
    refused = f"; {len(others):,} in another format are refused, such as '{others.iloc[0]}'" if len(others) else ""
    return f"{what} such as '{read.iloc[0]}' are read {how}{because}{refused}"


def _iso(parts: pd.DataFrame) -> pd.Series[str]:
    """[rows]: missing where the parts are not a valid date and time."""
    names = ("year", "one", "two", "hour", "minute", "second")
    number = {name: pd.to_numeric(parts[name]).astype("float64") for name in names}
    short = (parts["year"].str.len() == 2).fillna(False).astype(bool)
    year = number["year"].where(~short, number["year"] + np.where(number["year"] < 70, 2000, 1900))
    half = parts["half"].fillna("").str[:1].str.upper().astype(object)
    hour = number["hour"].where(half == "", number["hour"] % 12 + np.where(half == "P", 12, 0))
    hour = hour.where((half == "") | number["hour"].between(1, 12), 99)  # not a valid hour
    fields = {"year": year, "month": number["one"], "day": number["two"], "hour": hour.fillna(0)}
    fields |= {name: number[name].fillna(0) for name in ("minute", "second")}
    complete = pd.DataFrame(fields).dropna()
    complete = complete[(complete["hour"] < 24) & (complete["minute"] < 60) & (complete["second"] < 60)]
    moments = pd.to_datetime(complete.astype("int64"), errors="coerce")
    return moments.dt.strftime("%Y-%m-%dT%H:%M:%SZ").astype("string").reindex(parts.index)
