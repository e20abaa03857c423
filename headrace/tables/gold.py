"""Features of a day, and the training examples."""

from __future__ import annotations

import pyarrow as pa

from headrace.tables.table import FLOATS, STRINGS, TIME, TIMES, Table

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
    "One row per user with events and day: what they did, when and where, what they spent and prefer. Not kept online.",
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
            ("devices", STRINGS),  # most visits of the last 56 days first, "unknown" among them; at most 5
            ("device_shares", FLOATS),  # share of the visits on each
            ("surfaces", STRINGS),  # the same for where in the app
            ("surface_shares", FLOATS),
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
    "One row per item of the catalogue and day, zeros for items without events.",
    pa.schema(
        [
            ("item_id", pa.string()),
            *FEATURE_TIMES,
            ("popularity", pa.float32()),  # distinct users with an event of interest in the last 28 days
            ("trend_popularity", pa.float32()),  # the same in the last 56 days
            ("purchases", pa.float32()),  # purchases in the last 56 days
            ("users_total", pa.float32()),  # distinct users ever
            ("repeat_rate", pa.float32()),  # share of its users with two or more occasions
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
    "One row per user, item and day, of pairs with an event of interest until then.",
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
            ("affinity", pa.float32()),  # share of the user's decayed counts; 0 where all of them have become 0
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
    "One row per user with events in the holdout: the user_features row as of its start, and the events in it.",
    pa.schema(
        [
            *[f for f in GOLD_USER_FEATURES.schema if f.name != "day"],
            ("target_items", STRINGS),  # distinct items of interest in (as_of, as_of + holdout]
            ("target_counts", FLOATS),  # occasions of each
            ("target_clicks", FLOATS),  # views and clicks of each
            ("target_carts", FLOATS),
            ("target_purchases", FLOATS),
            ("target_dwell", FLOATS),  # seconds in its views
            ("shown_items", STRINGS),  # items with an impression in the same time, taken or not
            ("shown_positions", TIMES),  # position in the list at the first impression, from 0; -1 where unknown
            ("shown_propensities", FLOATS),  # probability with which it was shown then; 1 where unknown
            ("day", pa.date32()),  # the day the examples are made for: as_of = its end minus the holdout
        ]
    ),
    ("user_id", "day"),
    "day",
)
