"""Promotions of Complete Journey: which products were displayed or advertised in one week, in any store."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headrace.features.promotion_calendar import COMING_DAYS, PAST_DAYS, entry

_KINDS = {"display_location": "display", "mailer_location": "mailer"}
_NOT = "0"
"""Location of a product that was not displayed, or not in the mailer."""


WEEKS_AHEAD = 5
"""Mailers and displays are planned: so many weeks after the newest one converted are in the calendar."""
WEEKS_BACK = (PAST_DAYS + COMING_DAYS) // 7
"""Far enough for the features of the day before the ranker's holdout."""


def calendar_of(source: Path, week: int, spans: Mapping[int, tuple[date, date]]) -> pd.Series[str]:
    """The promotion calendar by product id (text), around `week`; `spans` has the first and last day of each week."""
    weeks = [near for near in range(week - WEEKS_BACK + 1, week + WEEKS_AHEAD + 1) if near in spans]
    rows = pq.read_table(
        source / "promotions.parquet",
        columns=["product_id", "store_id", "week", *_KINDS],
        filters=[("week", "in", weeks)],
    )
    for column in _KINDS:  # a row that is in neither kind would not be a promotion
        rows = rows.set_column(
            rows.schema.get_field_index(column), column, pc.not_equal(rows.column(column).cast("string"), _NOT)
        )
    return calendar(rows.to_pandas(), spans)


def calendar(rows: pd.DataFrame, spans: Mapping[int, tuple[date, date]]) -> pd.Series[str]:
    """The same of given rows, whose kinds are true or false."""
    stores = rows.groupby("week")["store_id"].nunique()
    promoted = rows[rows[list(_KINDS)].any(axis=1)].groupby(["product_id", "week"])["store_id"].nunique()
    found = promoted.reset_index(name="stores")
    shares = found["stores"] / found["week"].map(stores)
    found["entry"] = [entry(*spans[week], share) for week, share in zip(found["week"], shares, strict=True)]
    return found.groupby(found["product_id"].astype(str))["entry"].agg(" ".join)


def promotions_of(source: Path, week: int) -> pd.Series[str]:
    """`display`, `mailer` or `display and mailer` by product id (text), of the products in promotion in `week`.

    The package has a row per product, store and week; only that week's are read.
    """
    rows = pq.read_table(
        source / "promotions.parquet", columns=["product_id", *_KINDS], filters=[("week", "=", week)]
    ).to_pandas()
    return promotions(rows)


def promotions(rows: pd.DataFrame) -> pd.Series[str]:
    """The same of given rows of the package's `promotions`."""
    kinds = pd.DataFrame({kind: rows[column] != _NOT for column, kind in _KINDS.items()})
    in_any_store = kinds.groupby(rows["product_id"].astype(str)).any()
    names = {(True, False): "display", (False, True): "mailer", (True, True): "display and mailer"}
    named = pd.Series([names.get(pair) for pair in in_any_store.itertuples(index=False, name=None)], in_any_store.index)
    return named.dropna()
