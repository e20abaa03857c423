"""Inputs of the models: the feature catalogue, columns and rows, the user's row, own items, the user tower."""

__all__ = [
    "catalogue",
    "columns",
    "context",
    "online_store",
    "own_items",
    "page",
    "promotion_calendar",
    "ranking",
    "rows",
    "user_row",
    "user_tower",
]
