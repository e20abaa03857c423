"""Every table of the lake: its place, its columns and what they mean. The one module that knows column names.

A table's folder is `<lake root>/<layer>/<name>`. Times are UTC with microseconds; ids are strings; `day` is the last
complete UTC day a row is about, so that `as_of` = the midnight that ends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa

TIME = pa.timestamp("us", tz="UTC")
STRINGS = pa.list_(pa.string())
FLOATS = pa.list_(pa.float32())
TIMES = pa.list_(pa.int64())
"""Lists of times are microseconds since 1970, so that they travel unchanged through the feature store."""


@dataclass(frozen=True)
class Table:
    """One Delta table: `layer.name`, its Arrow schema, the key that is unique in it and what partitions it."""

    layer: str
    name: str
    meaning: str
    schema: pa.Schema
    key: tuple[str, ...]
    partition: str | None = None

    @property
    def path(self) -> str:
        """Place below the lake's root."""
        return f"{self.layer}/{self.name}"


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
            ("day", pa.date32()),  # day of received_at
        ]
    ),
    ("source", "source_partition", "source_offset"),
    "day",
)

BRONZE_USERS = Table(
    "bronze", "users", "Every row of a users file as received.", BRONZE_EVENTS.schema, BRONZE_EVENTS.key, "day"
)

BRONZE_ITEMS = Table(
    "bronze", "items", "Every row of an items file as received.", BRONZE_EVENTS.schema, BRONZE_EVENTS.key, "day"
)

REJECTED_EVENTS = Table(
    "bronze",
    "rejected_events",
    "Rows (of events, users or items) refused by the contract: raw text, reason and field, never dropped.",
    pa.schema([*BRONZE_EVENTS.schema, ("reason", pa.string()), ("field", pa.string()), ("message", pa.string())]),
    BRONZE_EVENTS.key,
    "day",
)

SILVER_EVENTS = Table(
    "silver",
    "events",
    "Typed events, one row per event_id.",
    pa.schema(
        [
            ("event_id", pa.string()),
            ("event_type", pa.string()),
            ("subject_id", pa.string()),  # user_id, or "session:<session_id>"
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
            ("extra", pa.string()),  # the JSON text as received: fields the contract does not know are found there
            ("received_at", TIME),
            ("day", pa.date32()),  # day of timestamp
        ]
    ),
    ("event_id",),
    "day",
)

SILVER_MACHINES = Table(
    "silver",
    "machines",
    "Subjects that act as no person can, by day: their events stay in silver.events and are left out of features.",
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
    "Profiles: everything known of a user beside the events; current row has valid_to = null.",
    pa.schema(
        [
            ("user_id", pa.string()),
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
            ("title", pa.string()),  # what a person reads
            ("category_1", pa.string()),  # widest: department
            ("category_2", pa.string()),
            ("category_3", pa.string()),  # narrowest
            ("brand", pa.string()),
            ("maker", pa.string()),
            ("text", pa.string()),  # description for content-based models
            ("extra", pa.string()),  # JSON object of the fields the contract does not know
            ("valid_from", TIME),
            ("valid_to", TIME),
        ]
    ),
    ("item_id", "valid_from"),
)

SILVER_ITEM_STATES = Table(
    "silver",
    "item_states",
    "What changes of an item without changing what it is, apart from its description; current row has valid_to = null.",
    pa.schema(
        [
            ("item_id", pa.string()),
            ("price", pa.float64()),  # list price; null where unknown
            ("available", pa.bool_()),  # can be had now; true where nobody said otherwise
            ("promotion", pa.string()),  # name of the promotion it is in; null = none
            ("blocked", pa.bool_()),  # must not be shown, whatever else is true; false where nobody said otherwise
            ("valid_from", TIME),
            ("valid_to", TIME),
        ]
    ),
    ("item_id", "valid_from"),
)

FEATURE_TIMES = [
    ("event_timestamp", TIME),  # the as_of the row speaks of
    (
        "created_timestamp",
        TIME,
    ),  # when it was computed: later corrections must not leak into older training sets
]

GOLD_USER_FEATURES = Table(
    "gold",
    "user_features",
    "One row per user and day: recent history, the user's own items, profile. Exactly what serving reads online.",
    pa.schema(
        [
            ("user_id", pa.string()),  # subject_id
            *FEATURE_TIMES,
            ("history_event_ids", STRINGS),  # last 50 events of interest, oldest first (timestamp, event_id)
            ("history_items", STRINGS),
            ("history_types", STRINGS),
            ("history_timestamps", TIMES),
            ("own_items", STRINGS),  # items bought (or liked…), best decayed count first, at most 1,000
            ("own_counts", FLOATS),  # distinct baskets (timestamps) with the item
            ("own_decayed_counts", FLOATS),  # the same, halved every 84 days, at as_of
            ("own_first_timestamps", TIMES),
            ("own_last_timestamps", TIMES),
            ("events_total", pa.int64()),
            ("baskets_total", pa.int64()),  # distinct event timestamps
            ("profile_keys", STRINGS),
            ("profile_values", STRINGS),
            ("day", pa.date32()),
        ]
    ),
    ("user_id", "day"),
    "day",
)

GOLD_USER_BEHAVIOUR = Table(
    "gold",
    "user_behaviour",
    "One row per user with events and day: what they did, when, what they spent, what they prefer. Not kept online.",
    pa.schema(
        [
            ("user_id", pa.string()),  # subject_id
            *FEATURE_TIMES,
            *(  # events of each type in the last 56 days
                (name, pa.float32())
                for name in (
                    *("views", "clicks", "carts", "purchases", "returns", "ratings", "likes", "dislikes", "searches"),
                    "baskets",  # distinct times of purchases in the last 56 days
                )
            ),
            ("days_since", pa.float32()),  # since the last event of interest; NaN if never
            ("spend", pa.float32()),  # money paid in the last 56 days
            ("decayed_spend", pa.float32()),  # the same, halved every 84 days
            ("basket_spend", pa.float32()),  # money per basket
            ("hours", FLOATS),  # share of the visits of the last 56 days in each hour of the day (UTC), or empty
            ("weekdays", FLOATS),  # the same on each day of the week, from Monday
            ("categories", STRINGS),  # best decayed count first
            ("category_shares", FLOATS),  # share of the decayed counts
            ("day", pa.date32()),
        ]
    ),
    ("user_id", "day"),
    "day",
)

GOLD_ITEM_FEATURES = Table(
    "gold",
    "item_features",
    "One row per item of the catalogue and day, zeros where nothing happened.",
    pa.schema(
        [
            ("item_id", pa.string()),
            *FEATURE_TIMES,
            ("popularity", pa.float32()),  # distinct users with an event of interest in the last 28 days
            ("trend_popularity", pa.float32()),  # the same in the last 56 days
            ("purchases", pa.float32()),  # purchases in the last 56 days
            ("users_total", pa.float32()),  # distinct users ever
            ("repeat_rate", pa.float32()),  # share of its users who took it on two or more occasions
            (
                "price",
                pa.float32(),
            ),  # median unit price paid in the last 56 days, else the list price, else NaN
            ("age_days", pa.float32()),  # since its first event; NaN if never
            ("freshness", pa.float32()),  # 1 at its first event (or before it), halved every 28 days
            ("days_since", pa.float32()),  # since its last event; NaN if never
            ("decayed_views", pa.float32()),  # views and clicks, halved every 28 days
            ("decayed_carts", pa.float32()),
            ("decayed_purchases", pa.float32()),
            ("conversion", pa.float32()),  # share of carts and purchases among the three, with a prior
            ("ratings", pa.float32()),  # how many, ever
            ("rating", pa.float32()),  # their mean, with a prior; NaN where no item has any
            ("return_rate", pa.float32()),  # returns per purchase, with a prior
            ("day", pa.date32()),
        ]
    ),
    ("item_id", "day"),
    "day",
)

GOLD_ITEM_CONTENT = Table(
    "gold",
    "item_content",
    "One row per item described and day on which the catalogue had changed: what the item is about, as a vector.",
    pa.schema(
        [
            ("item_id", pa.string()),
            *FEATURE_TIMES,
            ("content", FLOATS),  # length 1, or 0 without a word; comparable within one day
            ("day", pa.date32()),
        ]
    ),
    ("item_id", "day"),
    "day",
)

GOLD_USER_ITEM_FEATURES = Table(
    "gold",
    "user_item_features",
    "One row per user, item and day in which they ever met.",
    pa.schema(
        [
            ("user_id", pa.string()),
            ("item_id", pa.string()),
            *FEATURE_TIMES,
            ("count", pa.float32()),
            ("decayed_count", pa.float32()),
            ("first_timestamp", pa.int64()),
            ("last_timestamp", pa.int64()),
            ("days_since", pa.float32()),  # since last_timestamp
            ("affinity", pa.float32()),  # share of the user's decayed counts
            ("views", pa.float32()),  # views and clicks, ever
            ("carts", pa.float32()),
            ("purchases", pa.float32()),
            ("day", pa.date32()),
        ]
    ),
    ("user_id", "item_id", "day"),
    "day",
)

GOLD_RETRIEVAL_EXAMPLES = Table(
    "gold",
    "retrieval_examples",
    "One row per user and day: the whole sequence of interest from which training cuts (history, next item) pairs.",
    pa.schema(
        [
            ("user_id", pa.string()),
            (
                "items",
                STRINGS,
            ),  # oldest first (timestamp, event_id): the training window and 50 events before it
            ("types", STRINGS),
            ("timestamps", TIMES),
            ("first_target", pa.int32()),  # position of the first event inside the training window
            ("profile_keys", STRINGS),
            ("profile_values", STRINGS),
            ("day", pa.date32()),
        ]
    ),
    ("user_id", "day"),
    "day",
)

GOLD_RANKING_EXAMPLES = Table(
    "gold",
    "ranking_examples",
    "One row per user with events in the holdout: the user_features row as known before it, and what happened in it.",
    pa.schema(
        [
            *[f for f in GOLD_USER_FEATURES.schema if f.name != "day"],
            ("target_items", STRINGS),  # distinct items of interest in (as_of, as_of + holdout]
            ("target_counts", FLOATS),  # occasions of each
            ("day", pa.date32()),  # the day the examples are made for: as_of = its end minus the holdout
        ]
    ),
    ("user_id", "day"),
    "day",
)

QUALITY_RESULTS = Table(
    "quality",
    "results",
    "What the quality and drift jobs found: one row per expectation, or per feature and measure of drift, and day.",
    pa.schema(
        [
            ("stage", pa.string()),  # clean, features or drift: what a run replaces
            ("table", pa.string()),  # layer.name
            ("column", pa.string()),  # the column or feature; empty where the rule is about whole rows
            ("rule", pa.string()),
            ("severity", pa.string()),  # error or warn
            ("passed", pa.bool_()),
            ("checked", pa.int64()),  # rows looked at
            ("broken", pa.int64()),  # rows that break the rule; null where the rule counts no rows
            ("measured", pa.float64()),  # what is compared with the limit; null where nothing could be compared
            ("limit", pa.string()),  # as a person reads it: "at most 0.2"
            ("message", pa.string()),  # one sentence
            ("samples", STRINGS),  # some broken rows as JSON
            ("against", pa.date32()),  # drift: the day compared with
            ("day", pa.date32()),
        ]
    ),
    ("day", "stage", "table", "column", "rule", "severity"),
    "day",
)

FORGET_REQUESTS = Table(
    "privacy",
    "forget_requests",
    "Who asked to be forgotten, as SHA-256 of the subject: what still arrives of before the request is not taken.",
    pa.schema(
        [
            ("subject_hash", pa.string()),  # of a user_id, or of "session:<session_id>"
            ("requested_at", TIME),
        ]
    ),
    ("subject_hash", "requested_at"),
)

TABLES = (
    BRONZE_EVENTS,
    BRONZE_USERS,
    BRONZE_ITEMS,
    REJECTED_EVENTS,
    SILVER_EVENTS,
    SILVER_MACHINES,
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


def end_of(day: date) -> datetime:
    """The midnight (UTC) that ends `day`: the `as_of` of everything computed for it. Events before it count."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)


def microseconds(moment: datetime) -> int:
    """Since 1970, as the lists of times in the tables hold it."""
    return round(moment.timestamp() * 1_000_000)
