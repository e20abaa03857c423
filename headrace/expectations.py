"""Expectations of each table, declared without an engine: the job `quality` checks them.

A row rule is a SQL condition that is true for *broken* rows; NULL means not broken. Other rules are about the
whole table or about another one. Severity `error` stops the jobs after it, `warn` is only reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headrace.events import EventType
from headrace.features.context import DEVICE, HOURS, SURFACE, WEEKDAYS
from headrace.tables import (
    BRONZE_EVENTS,
    BRONZE_NOTES,
    GOLD_ITEM_CONTENT,
    GOLD_ITEM_FEATURES,
    GOLD_USER_BEHAVIOUR,
    GOLD_USER_FEATURES,
    GOLD_USER_ITEM_FEATURES,
    REJECTED_EVENTS,
    SILVER_EVENTS,
    SILVER_ITEM_STATES,
    SILVER_ITEMS,
    SILVER_USERS,
    Table,
)

Severity = Literal["error", "warn"]
Stage = Literal["clean", "features"]


@dataclass(frozen=True)
class RowRule:
    """Broken rows are those for which `broken` (SQL) is true; `meaning` is the expected condition."""

    column: str
    rule: str
    broken: str
    meaning: str
    severity: Severity = "error"


@dataclass(frozen=True)
class Unique:
    """No two rows (of the day, in a table with days) have the same values of `columns`, among those `where` keeps."""

    columns: tuple[str, ...]
    where: str = "true"
    severity: Severity = "error"


@dataclass(frozen=True)
class Refers:
    """Every value of `column` that is not null is one of `to_column` in `to` (of the same day, if it has days).

    With `tolerated` the name of a setting, a share of broken rows up to it is a warning. A table `to` without any row
    breaks no rule: there is no catalogue to refer to.
    """

    column: str
    to: Table
    to_column: str
    tolerated: str | None = None


@dataclass(frozen=True)
class Volume:
    """Rows of the day against the median of the same weekday before, and the newest `time` against the day's end."""

    time: str


@dataclass(frozen=True)
class RefusedShare:
    """Rows of this quarantine against all rows received on the same days."""


@dataclass(frozen=True)
class Filled:
    """There is at least one row (of the day)."""


@dataclass(frozen=True)
class NoGap:
    """Every record of the topics until the day's newest one has arrived."""


Expectation = RowRule | Unique | Refers | Volume | RefusedShare | Filled | NoGap


@dataclass(frozen=True)
class Expectations:
    """The expectations of one table, and after which stage of the day they are checked."""

    table: Table
    stage: Stage
    rules: tuple[Expectation, ...]


def not_null(column: str) -> RowRule:
    """The column has a value."""
    return RowRule(column, "not_null", f"`{column}` IS NULL", "must have a value")


def at_least(column: str, least: str, severity: Severity = "error") -> RowRule:
    """The column is at least `least`, a number or SQL expression; NULL and NaN pass."""
    return RowRule(column, "range", f"`{column}` < {least}", f"must be at least {least}", severity)


def between(column: str, least: str, most: str, severity: Severity = "error") -> RowRule:
    """The column lies in [least, most], numbers or SQL expressions; NULL passes, NaN does not."""
    broken = f"NOT (`{column}` BETWEEN {least} AND {most})"
    return RowRule(column, "range", broken, f"must be from {least} to {most}", severity)


def one_of(column: str, values: tuple[str, ...]) -> RowRule:
    """The column has one of the values; NULL passes."""
    listed = ", ".join(f"'{value}'" for value in values)
    return RowRule(column, "one_of", f"`{column}` NOT IN ({listed})", f"must be one of {', '.join(values)}")


def as_long_as(column: str, *others: str) -> RowRule:
    """A list that runs parallel to others has their length."""
    broken = " OR ".join(f"size(`{column}`) <> size(`{other}`)" for other in others)
    return RowRule(column, "same_length", broken, f"must be as long as {' and '.join(others)}")


def before_as_of(column: str, newest: str) -> RowRule:
    """`newest` (SQL, microseconds) lies before the row's as_of: no data from the future is used."""
    broken = f"{newest} >= unix_micros(event_timestamp)"
    return RowRule(column, "before_as_of", broken, "must lie before event_timestamp")


def _versions(table: Table, name: str, *more: Expectation) -> Expectations:
    """A slowly changing table: versions of one id follow one another, the last one is open; and `more`."""
    order = RowRule("valid_to", "order", "valid_to <= valid_from", "must lie after valid_from")
    rules = (not_null(name), not_null("valid_from"), order, Unique(table.key), Unique((name,), "valid_to IS NULL"))
    return Expectations(table, "clean", (*rules, *more))


_FEATURE_ROW = (not_null("event_timestamp"), not_null("created_timestamp"))

EXPECTATIONS = (
    Expectations(BRONZE_EVENTS, "clean", (NoGap(),)),
    Expectations(BRONZE_NOTES, "clean", (NoGap(),)),
    Expectations(REJECTED_EVENTS, "clean", (RefusedShare(),)),
    Expectations(
        SILVER_EVENTS,
        "clean",
        (
            *(not_null(name) for name in ("event_id", "event_type", "subject_id", "timestamp", "received_at")),
            one_of("event_type", tuple(kind.value for kind in EventType)),
            RowRule(
                "item_id",
                "not_null",
                "item_id IS NULL AND event_type <> 'search'",
                "must have a value for every type but search",
            ),
            RowRule(
                "value",
                "range",
                "value < 0 OR (event_type = 'rating' AND value > 10)",
                "must be at least 0, and of a rating at most 10",
            ),
            at_least("price", "0"),
            at_least("position", "0", "warn"),
            RowRule("day", "day_of_time", "day <> to_date(timestamp)", "must be the day of timestamp"),
            Unique(SILVER_EVENTS.key),
            Refers("item_id", SILVER_ITEMS, "item_id", tolerated="unknown_share"),
            Volume("timestamp"),
        ),
    ),
    _versions(SILVER_USERS, "user_id"),
    _versions(SILVER_ITEMS, "item_id"),
    _versions(
        SILVER_ITEM_STATES,
        "item_id",
        at_least("price", "0"),
        not_null("available"),
        not_null("blocked"),
        Refers("item_id", SILVER_ITEMS, "item_id"),
    ),
    Expectations(
        GOLD_USER_FEATURES,
        "features",
        (
            Filled(),
            not_null("user_id"),
            *_FEATURE_ROW,
            Unique(GOLD_USER_FEATURES.key),
            at_least("events_total", "0"),
            between("baskets_total", "0", "events_total"),
            as_long_as("history_items", "history_event_ids", "history_types", "history_timestamps"),
            as_long_as("own_items", "own_counts", "own_decayed_counts", "own_first_timestamps", "own_last_timestamps"),
            as_long_as("profile_keys", "profile_values"),
            before_as_of("history_timestamps", "array_max(history_timestamps)"),
            before_as_of("own_last_timestamps", "array_max(own_last_timestamps)"),
            RowRule("own_counts", "range", "array_min(own_counts) < 1", "must be 1 or more each"),
        ),
    ),
    Expectations(
        GOLD_USER_BEHAVIOUR,
        "features",
        (
            not_null("user_id"),
            *_FEATURE_ROW,
            Unique(GOLD_USER_BEHAVIOUR.key),
            *(at_least(name, "0") for name in ("views", "purchases", "baskets", "days_since", "spend")),
            between("baskets", "0", "purchases"),
            between("decayed_spend", "0", "spend * 1.001"),
            *(
                RowRule(name, "shares", f"size({name}) NOT IN (0, {length})", f"must be empty or {length} shares")
                for name, length in (("hours", HOURS), ("weekdays", WEEKDAYS))
            ),
            *(as_long_as(f"{name}s", f"{name}_shares") for name in (DEVICE, SURFACE)),
            as_long_as("categories", "category_shares"),
            RowRule("category_shares", "range", "array_max(category_shares) > 1.001", "must be at most 1 each"),
        ),
    ),
    Expectations(
        GOLD_ITEM_FEATURES,
        "features",
        (
            Filled(),
            not_null("item_id"),
            *_FEATURE_ROW,
            Unique(GOLD_ITEM_FEATURES.key),
            *(not_null(name) for name in ("popularity", "trend_popularity", "purchases", "users_total", "price")),
            *(at_least(name, "0") for name in ("trend_popularity", "purchases", "users_total", "price", "age_days")),
            *(at_least(name, "0") for name in ("decayed_views", "decayed_carts", "decayed_purchases", "ratings")),
            *(not_null(name) for name in ("decayed_views", "decayed_carts", "decayed_purchases", "ratings")),
            RowRule("days_since", "order", "days_since > age_days", "must be at most age_days"),
            between("freshness", "0", "1"),
            *(
                RowRule(
                    name,
                    "range",
                    f"{name} < 0 OR ({name} > {most} AND NOT isnan({name}))",
                    f"must be from 0 to {most}, or NaN",
                )
                for name, most in (("conversion", 1), ("rating", 10), ("return_rate", 1))
            ),
            between("popularity", "0", "users_total"),
            between("repeat_rate", "0", "1"),
        ),
    ),
    Expectations(
        GOLD_ITEM_CONTENT,
        "features",
        (
            not_null("item_id"),
            *_FEATURE_ROW,
            Unique(GOLD_ITEM_CONTENT.key),
            RowRule(
                "content",
                "length",
                "abs(aggregate(content, 0D, (sum, each) -> sum + double(each) * each) - 0.5) > 0.501",
                "must be a vector of length 0 to 1",
            ),
        ),
    ),
    Expectations(
        GOLD_USER_ITEM_FEATURES,
        "features",
        (
            not_null("user_id"),
            not_null("item_id"),
            *_FEATURE_ROW,
            Unique(GOLD_USER_ITEM_FEATURES.key),
            at_least("count", "1"),
            between("decayed_count", "0", "count * 1.001"),
            between("affinity", "0", "1"),
            *(at_least(name, "0") for name in ("days_since", "views", "carts", "purchases")),
            RowRule("first_timestamp", "order", "first_timestamp > last_timestamp", "must not be after last_timestamp"),
            before_as_of("last_timestamp", "last_timestamp"),
            Refers("user_id", GOLD_USER_FEATURES, "user_id"),
            Refers("item_id", GOLD_ITEM_FEATURES, "item_id"),
        ),
    ),
)
"""Of every table that later jobs read, in the order of the daily run."""
