"""What arrived, as received; and what of it was refused."""

from __future__ import annotations

import pyarrow as pa

from headrace.tables.table import TIME, Table

BRONZE_EVENTS = Table(
    "bronze",
    "events",
    "Every event as received: append only.",
    pa.schema(
        [
            ("raw", pa.string()),  # the JSON text, whole
            ("source", pa.string()),  # "file:<name>" or "kafka:<topic>"
            ("source_partition", pa.int32()),  # Kafka partition; 0 for files
            ("source_offset", pa.int64()),  # Kafka offset, or row number in the file from 1
            ("received_at", TIME),  # the receiver's clock: Kafka's timestamp, or the import's `received_at`
            ("arrival", pa.int64()),  # number of the delivery that brought it, in order; null before it was recorded
            # headrace.forgotten.subject_hash of the contract's subject; empty where it is not about one person, null
            # in rows from before it was recorded
            ("subject_hash", pa.string()),
            ("day", pa.date32()),  # day of received_at
        ]
    ),
    ("source", "source_partition", "source_offset", "arrival"),
    "day",
)

BRONZE_USERS = Table(
    "bronze", "users", "Every row of a users file as received.", BRONZE_EVENTS.schema, BRONZE_EVENTS.key, "day"
)

BRONZE_ITEMS = Table(
    "bronze", "items", "Every row of an items file as received.", BRONZE_EVENTS.schema, BRONZE_EVENTS.key, "day"
)

BRONZE_NOTES = Table(
    "bronze",
    "notes",
    "What the service notes on topics of its own, as received: impressions (what was shown to whom, with propensities) "
    "and dead letters (events refused at the door).",
    BRONZE_EVENTS.schema,
    BRONZE_EVENTS.key,
    "day",
)

REJECTED_EVENTS = Table(
    "bronze",
    "rejected_events",
    "Rows (of events, users or items) refused by the contract: raw text, reason and field, never dropped.",
    pa.schema([*BRONZE_EVENTS.schema, ("reason", pa.string()), ("field", pa.string()), ("message", pa.string())]),
    BRONZE_EVENTS.key,
    "day",
)
