"""Typed rows: deduplicated events, users and items with their history."""

from __future__ import annotations

import pyarrow as pa

from headrace.tables.table import TIME, Table

SILVER_EVENTS = Table(
    "silver",
    "events",
    "Typed events, one row per event_id.",
    pa.schema(
        [
            ("event_id", pa.string()),
            ("event_type", pa.string()),
            ("subject_id", pa.string()),  # headrace.events.subjects.subject_key: user_id, or "session:<session_id>"
            ("user_id", pa.string()),
            ("session_id", pa.string()),
            ("item_id", pa.string()),
            ("timestamp", TIME),
            ("value", pa.float64()),
            ("price", pa.float64()),
            ("query", pa.string()),
            ("request_id", pa.string()),
            ("position", pa.int32()),
            ("context", pa.map_(pa.string(), pa.string())),
            ("extra", pa.string()),  # the JSON text as received, with fields outside the contract
            ("received_at", TIME),
            ("day", pa.date32()),  # day of timestamp
        ]
    ),
    ("event_id",),
    "day",
)

SILVER_BOTS = Table(
    "silver",
    "bots",
    "Subjects flagged as bots, by day: their events stay in silver.events and are left out of features.",
    pa.schema(
        [
            ("subject_id", pa.string()),
            ("reason", pa.string()),  # too_fast: moments within a minute; too_many: events on the day
            ("seen", pa.int64()),
            ("allowed", pa.int64()),
            ("day", pa.date32()),
        ]
    ),
    ("subject_id", "day", "reason"),
    "day",
)

SILVER_USERS = Table(
    "silver",
    "users",
    "Profiles of users; current row has valid_to = null.",
    pa.schema(
        [
            ("user_id", pa.string()),  # the user's subject_id
            ("profile", pa.map_(pa.string(), pa.string())),  # e.g. age, income, household_size
            ("valid_from", TIME),
            ("valid_to", TIME),
        ]
    ),
    ("user_id", "valid_from"),
)

SILVER_ITEMS = Table(
    "silver",
    "items",
    "The catalogue: how each item is described; current row has valid_to = null.",
    pa.schema(
        [
            ("item_id", pa.string()),
            ("title", pa.string()),  # what a person reads, unless `extra` has a display_title
            ("category_1", pa.string()),  # widest: department
            ("category_2", pa.string()),
            ("category_3", pa.string()),  # narrowest
            ("brand", pa.string()),
            ("maker", pa.string()),
            ("text", pa.string()),  # description for content-based models
            ("extra", pa.string()),  # JSON object of the fields outside the contract
            ("valid_from", TIME),
            ("valid_to", TIME),
        ]
    ),
    ("item_id", "valid_from"),
)

SILVER_ITEM_STATES = Table(
    "silver",
    "item_states",
    "Item states (price, availability, promotion, block), apart from the description; current row has valid_to = null.",
    pa.schema(
        [
            ("item_id", pa.string()),
            ("price", pa.float64()),  # list price; null where unknown
            ("available", pa.bool_()),  # can be bought now; true by default
            ("promotion", pa.string()),  # name of the promotion it is in; null = none
            ("blocked", pa.bool_()),  # must never be shown; false by default
            ("promotion_calendar", pa.string()),  # when it is promoted, and in which share of the stores; null = never
            ("valid_from", TIME),
            ("valid_to", TIME),
        ]
    ),
    ("item_id", "valid_from"),
)
