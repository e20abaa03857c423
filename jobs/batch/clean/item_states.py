"""Price, availability, promotions and block of items: their own history, separate from the item's description.

A row of an items file changes only the states that it has; a state that is null or missing is unchanged.
"""

from __future__ import annotations

from datetime import datetime

from pyspark.sql import Column, DataFrame, WindowSpec
from pyspark.sql import functions as F

from headrace.tables import SILVER_ITEM_STATES
from jobs.batch.clean.versions import as_arrivals, current_at, versions_in_order

STATES = ("price", "available", "promotion", "blocked", "promotion_calendar")
ENDED = ("promotion", "promotion_calendar")
"""States that end with the word `NO_PROMOTION`."""
NO_PROMOTION = "none"
"""Value in a file for an ended promotion (in any letter case): an empty field leaves it unchanged."""
_DEFAULTS = {"available": True, "blocked": False}


def next_states(existing: DataFrame, arrived: DataFrame) -> DataFrame:
    """All versions of `silver.item_states` after the valid rows `arrived`, of which the later one wins, by state."""
    given = arrived.where(F.coalesce(*(F.col(name).cast("string") for name in STATES)).isNotNull())
    known = as_arrivals(existing).withColumns({name: F.coalesce(name, F.lit(NO_PROMOTION)) for name in ENDED})
    rows = known.unionByName(given.select(*known.columns))

    def content(so_far: WindowSpec) -> list[Column]:
        last = {name: F.last(name, ignorenulls=True).over(so_far) for name in STATES}
        typed = last | {name: F.nullif(last[name], F.lit(NO_PROMOTION)) for name in ENDED}
        typed |= {name: F.coalesce(last[name], F.lit(default)) for name, default in _DEFAULTS.items()}
        return [typed[name].alias(name) for name in STATES]

    return versions_in_order(existing, rows, SILVER_ITEM_STATES, content)


def with_states(items: DataFrame, states: DataFrame, as_of: datetime) -> DataFrame:
    """All versions of `silver.items`, each with the item's states at `as_of` as further columns.

    An item without any given state is available, not blocked, in no promotion and has no price.
    """
    joined = items.join(current_at(states, as_of).select("item_id", *STATES), "item_id", "left")
    return joined.withColumns({name: F.coalesce(name, F.lit(default)) for name, default in _DEFAULTS.items()})
