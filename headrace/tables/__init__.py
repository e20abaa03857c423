"""Every table of the lake: its path, its columns and their meanings. The only definition of column names.

A table's folder is `<lake root>/<layer>/<name>`. Times are UTC with microseconds; ids are strings; `day` is the last
complete UTC day a row is about, so that `as_of` = the midnight that ends it.
"""

from __future__ import annotations

from headrace.tables.bronze import BRONZE_EVENTS, BRONZE_ITEMS, BRONZE_NOTES, BRONZE_USERS, REJECTED_EVENTS
from headrace.tables.gold import (
    FEATURE_TIMES,
    GOLD_ITEM_CONTENT,
    GOLD_ITEM_FEATURES,
    GOLD_RANKING_EXAMPLES,
    GOLD_RETRIEVAL_EXAMPLES,
    GOLD_USER_BEHAVIOUR,
    GOLD_USER_FEATURES,
    GOLD_USER_ITEM_FEATURES,
)
from headrace.tables.operations import FORGET_REQUESTS, QUALITY_RESULTS
from headrace.tables.silver import SILVER_BOTS, SILVER_EVENTS, SILVER_ITEM_STATES, SILVER_ITEMS, SILVER_USERS
from headrace.tables.table import FLOATS, STRINGS, TIME, TIMES, Table, end_of, microseconds

TABLES = (
    BRONZE_EVENTS,
    BRONZE_USERS,
    BRONZE_ITEMS,
    BRONZE_NOTES,
    REJECTED_EVENTS,
    SILVER_EVENTS,
    SILVER_BOTS,
    SILVER_USERS,
    SILVER_ITEMS,
    SILVER_ITEM_STATES,
    GOLD_USER_FEATURES,
    GOLD_USER_BEHAVIOUR,
    GOLD_ITEM_FEATURES,
    GOLD_ITEM_CONTENT,
    GOLD_USER_ITEM_FEATURES,
    GOLD_RETRIEVAL_EXAMPLES,
    GOLD_RANKING_EXAMPLES,
    QUALITY_RESULTS,
    FORGET_REQUESTS,
)

__all__ = [
    "BRONZE_EVENTS",
    "BRONZE_ITEMS",
    "BRONZE_NOTES",
    "BRONZE_USERS",
    "FEATURE_TIMES",
    "FLOATS",
    "FORGET_REQUESTS",
    "GOLD_ITEM_CONTENT",
    "GOLD_ITEM_FEATURES",
    "GOLD_RANKING_EXAMPLES",
    "GOLD_RETRIEVAL_EXAMPLES",
    "GOLD_USER_BEHAVIOUR",
    "GOLD_USER_FEATURES",
    "GOLD_USER_ITEM_FEATURES",
    "QUALITY_RESULTS",
    "REJECTED_EVENTS",
    "SILVER_BOTS",
    "SILVER_EVENTS",
    "SILVER_ITEMS",
    "SILVER_ITEM_STATES",
    "SILVER_USERS",
    "STRINGS",
    "TABLES",
    "TIME",
    "TIMES",
    "Table",
    "end_of",
    "microseconds",
]
