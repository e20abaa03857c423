"""Values of each gold feature that are compared from day to day: a number of a row, or its list of categories, in SQL.

A list stands for what can move in it: how long it is, how far back it reaches, its largest share. A vector has other
axes on each day, so the compared value is an item's similarity to the mean of all items of its own day.
"""

from __future__ import annotations

from headrace.features.rows import feature_names
from headrace.tables import (
    GOLD_ITEM_CONTENT,
    GOLD_ITEM_FEATURES,
    GOLD_USER_BEHAVIOUR,
    GOLD_USER_FEATURES,
    GOLD_USER_ITEM_FEATURES,
    Table,
)

MEAN = "_mean"
"""Column that `drift` adds to vectors: the mean of all vectors of the day, of length 1."""


def _themselves(table: Table, *other: str) -> dict[str, str]:
    return {name: name for name in feature_names(table.schema) if name not in other}


def _days(time: str) -> str:
    return f"(unix_micros(event_timestamp) - {time}) / 86400000000"


def _place_of_largest(shares: str) -> str:
    return f"if(size({shares}) > 0, array(string(array_position({shares}, array_max({shares})) - 1)), array())"


_NAMED = {"devices": "device_shares", "surfaces": "surface_shares", "categories": "category_shares"}
"""Lists of names in a user's behaviour, with those of the share of each."""
NUMERIC: dict[str, dict[str, str]] = {
    GOLD_USER_FEATURES.path: {
        **{name: name for name in ("events_total", "baskets_total")},
        **{f"{name}_length": f"size({name})" for name in ("history_items", "own_items", "profile_keys")},
        "history_timestamps_days": _days("array_min(history_timestamps)"),
        "own_counts_sum": "aggregate(own_counts, 0D, (total, each) -> total + each)",
        "own_decayed_counts_sum": "aggregate(own_decayed_counts, 0D, (total, each) -> total + each)",
        "own_first_timestamps_days": _days("array_min(own_first_timestamps)"),
        "own_last_timestamps_days": _days("array_max(own_last_timestamps)"),
    },
    GOLD_USER_BEHAVIOUR.path: {
        **_themselves(GOLD_USER_BEHAVIOUR, "hours", "weekdays", *_NAMED, *_NAMED.values()),
        **{f"{shares}_largest": f"array_max({shares})" for shares in _NAMED.values()},
    },
    GOLD_ITEM_FEATURES.path: _themselves(GOLD_ITEM_FEATURES),
    GOLD_ITEM_CONTENT.path: {
        "content_closeness": "if(exists(content, each -> each <> 0), "
        f"aggregate(zip_with(content, {MEAN}, (x, y) -> x * y), 0D, (total, each) -> total + each), NULL)"
    },
    GOLD_USER_ITEM_FEATURES.path: {
        **_themselves(GOLD_USER_ITEM_FEATURES, "first_timestamp", "last_timestamp"),
        "first_timestamp_days": _days("first_timestamp"),
        "last_timestamp_days": _days("last_timestamp"),
    },
}
"""Features compared as numbers, with their expression in SQL."""
CATEGORIES: dict[str, dict[str, str]] = {
    GOLD_USER_FEATURES.path: {
        "history_types": "history_types",
        "profile_keys": "profile_keys",
        "profile_values": "zip_with(profile_keys, profile_values, (k, v) -> concat(k, '=', v))",
    },
    GOLD_USER_BEHAVIOUR.path: {
        "hours": _place_of_largest("hours"),
        "weekdays": _place_of_largest("weekdays"),
        **{names: names for names in _NAMED},
    },
    GOLD_ITEM_FEATURES.path: {},
    GOLD_ITEM_CONTENT.path: {},
    GOLD_USER_ITEM_FEATURES.path: {},
}
"""Features compared as categories: an expression in SQL that gives a row's list of them."""
NOT_COMPARED = {"history_event_ids": "each is there once; how many there are is the length of `history_items`"}
"""Columns that are not compared, and why."""
