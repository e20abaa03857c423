"""Promotions of Complete Journey: which products were displayed or advertised in one week, in any store."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

_KINDS = {"display_location": "display", "mailer_location": "mailer"}
_NOT = "0"
"""Location of a product that was not displayed, or not in the mailer."""


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
