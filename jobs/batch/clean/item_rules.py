"""The rules of items files: description and states from a row, and the reason of a refusal."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headrace.events import MAX_VALUE, Reason
from headrace.features.promotion_calendar import PATTERN
from jobs.batch.clean.event_rules import number_in, refusal
from jobs.batch.clean.item_states import ENDED, NO_PROMOTION, STATES
from jobs.batch.clean.profiles import id_problem, with_fields
from jobs.batch.clean.profiles import text_of as given

_TEXTS = ("title", "category_1", "category_2", "category_3", "brand", "maker", "text")
ITEM_FIELDS = ("item_id", *_TEXTS, *STATES)
"""Fields of the contract; other fields are kept in `extra`."""
_FLAGS = ("available", "blocked")
_TRUE = ("true", "yes", "y", "t", "1", "1.0")
_LONGEST_CALENDAR = 10_000
"""Characters, some 300 promotions: Java's regular expressions recurse for each, up to a stack overflow."""
_FALSE = ("false", "no", "n", "f", "0", "0.0")


def checked_items(rows: DataFrame) -> DataFrame:
    """Raw rows of an items file as columns of `silver.items` and of `silver.item_states`, with `refused`.

    A state is null where the row does not have it. `describes`: whether the row has any other field of the item;
    a row without, such as a line of a price list, leaves the description unchanged.
    """
    extra = F.map_filter("_fields", lambda name, value: ~name.isin(*ITEM_FIELDS) & value.isNotNull() & (value != ""))
    described = F.coalesce(*(given(name) for name in _TEXTS))
    return with_fields(rows, "item_id").select(
        *rows.columns,
        given("item_id").alias("item_id"),
        F.coalesce(given("title"), given("item_id")).alias("title"),
        *(given(name).alias(name) for name in _TEXTS[1:]),
        F.when(F.size(extra) > 0, F.to_json(extra)).alias("extra"),
        *_states(),
        (described.isNotNull() | (F.size(extra) > 0)).alias("describes"),
        _problem().alias("refused"),
    )


def _states() -> list[Column]:
    """The states as typed columns; an ended promotion is `none` here, because null means not given."""
    flags = {name: F.lower(given(name)) for name in _FLAGS}
    typed = {name: F.when(text.isin(*_TRUE), True).when(text.isin(*_FALSE), False) for name, text in flags.items()}
    texts = {name: F.when(_has_ended(name), F.lit(NO_PROMOTION)).otherwise(given(name)) for name in ENDED}
    columns = {"price": number_in(given("price")), **texts, **typed}
    return [columns[name].alias(name) for name in STATES]


def _has_ended(name: str) -> Column:
    return F.lower(given(name)) == NO_PROMOTION


def _problem() -> Column:
    price = number_in(given("price"))
    bad_price = given("price").isNotNull() & (price.isNull() | ~price.between(0, MAX_VALUE))
    problem = id_problem("item_id", Reason.MISSING_ITEM)
    problem = problem.when(bad_price, _bad_value("price", f"is not a number from 0 to {MAX_VALUE:g}"))
    calendar = given("promotion_calendar")
    readable = (F.length(calendar) <= _LONGEST_CALENDAR) & calendar.rlike(PATTERN)
    unreadable = calendar.isNotNull() & ~_has_ended("promotion_calendar") & ~readable
    problem = problem.when(unreadable, _bad_value("promotion_calendar", "is not a list of FIRST/LAST=SHARE"))
    for name in _FLAGS:
        unclear = given(name).isNotNull() & ~F.lower(given(name)).isin(*_TRUE, *_FALSE)
        problem = problem.when(unclear, _bad_value(name, "is neither yes nor no"))
    return problem


def _bad_value(name: str, problem: str) -> Column:
    shown = F.concat(F.lit('"'), F.substring(given(name), 1, 78), F.lit(f'" {problem}'))
    return refusal(Reason.BAD_VALUE, name, shown)
