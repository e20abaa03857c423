"""Every feature of the gold tables, declared once: `docs/features.md` and the feature store's views come from it.

A column's type is that of the table's schema, and its consumers are found by running the code that reads it; a test
compares every declaration with its table, its source and its owner.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from headrace.features.ranking import USER_COLUMNS
from headrace.features.rows import BEHAVIOUR_VIEW, CONTENT_VIEW, ITEM_VIEW, USER_VIEW
from headrace.features.user_row import user_row
from headrace.features.user_tower import TOWER_COLUMNS
from headrace.release.catalogue import NUMBER_COLUMNS
from headrace.tables import (
    GOLD_ITEM_CONTENT,
    GOLD_ITEM_FEATURES,
    GOLD_USER_BEHAVIOUR,
    GOLD_USER_FEATURES,
    GOLD_USER_ITEM_FEATURES,
    SILVER_EVENTS,
    SILVER_ITEM_STATES,
    SILVER_ITEMS,
    SILVER_USERS,
    Table,
)

ALL_TIME = "all time"
POPULARITY = "{popularity_days} days"
TREND = "{trend_days} days"
AFFINITY = "all time, half-life {affinity_half_life_days} days"
ITEM_DECAY = "all time, half-life {item_half_life_days} days"
FRESHNESS = "half-life {freshness_half_life_days} days"
HISTORY = "last {history_length} events"
OWN = "best {affinity_items} items"
USUAL = f"{TREND}; {{usual_contexts}} of most visits"


@dataclass(frozen=True)
class Feature:
    """One column of a gold table."""

    name: str
    meaning: str
    window: str
    """Its time window; names in braces are settings of the group `features`."""
    source: tuple[Table, ...] = (SILVER_EVENTS,)
    also_used_by: tuple[str, ...] = ()
    """Modules outside the core package that read it by its name."""


@dataclass(frozen=True)
class FeatureGroup:
    """The features of one table."""

    table: Table
    about: str
    """Entity: user, item, user × item."""
    owner: str
    """The one function that computes them, as `module.function`."""
    features: tuple[Feature, ...]
    view: str = ""
    """Name in the feature store; empty for a table that is not a view."""
    online: bool = False
    """Whether the rows are materialised in the online store."""

    def arrow_type(self, feature: Feature) -> pa.DataType:
        """The column's type."""
        return self.table.schema.field(feature.name).type

    def used_by(self, feature: Feature) -> Iterator[str]:
        """The consumers of the column."""
        for reader, columns in READERS.get(self.table.path, {}).items():
            if feature.name in columns:
                yield reader
        yield from (f"`{module}`" for module in feature.also_used_by)


class _Asked(Mapping[str, Any]):
    """A row without values that records which columns are read."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __getitem__(self, name: str) -> Any:
        self.names.append(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _columns_of_user_row() -> tuple[str, ...]:
    asked = _Asked()
    user_row(asked, "", 0)
    return tuple(dict.fromkeys(asked.names))


READERS: dict[str, dict[str, tuple[str, ...]]] = {
    GOLD_USER_FEATURES.path: {
        "serving's user row": _columns_of_user_row(),
        "user tower (batch, stream, serving)": TOWER_COLUMNS,
        "ranker": USER_COLUMNS,
    },
    GOLD_ITEM_FEATURES.path: {"ranker, through the release's item table": NUMBER_COLUMNS},
}
"""Consumers of each table's columns, found by running the code that reads them."""

USER_FEATURES = FeatureGroup(
    GOLD_USER_FEATURES,
    "user",
    "jobs.batch.features.users.user_features",
    (
        Feature("history_event_ids", "Ids of the last events of interest, oldest first by (time, id).", HISTORY),
        Feature("history_items", "Their items.", HISTORY),
        Feature("history_types", "Their event types.", HISTORY),
        Feature("history_timestamps", "Their times, microseconds since 1970.", HISTORY),
        Feature(
            "own_items",
            "Items of the user's events of interest, best decayed count first, then by id.",
            OWN,
            also_used_by=("models.two_tower.examples.holdout", "models.ranker.examples.training_data"),
        ),
        Feature("own_counts", "Occasions with each of them: distinct times.", OWN),
        Feature("own_decayed_counts", "The same, each occasion halved by its age.", AFFINITY),
        Feature("own_first_timestamps", "Time of the first occasion with each.", OWN),
        Feature("own_last_timestamps", "Time of the last occasion with each.", OWN),
        Feature("events_total", "Events of interest.", ALL_TIME),
        Feature("baskets_total", "Distinct times of them.", ALL_TIME),
        Feature("profile_keys", "Names of the profile fields (demographics), sorted.", "now", (SILVER_USERS,)),
        Feature("profile_values", "The values of these.", "now", (SILVER_USERS,)),
    ),
    view=USER_VIEW,
    online=True,
)
USER_BEHAVIOUR = FeatureGroup(
    GOLD_USER_BEHAVIOUR,
    "user's behaviour",
    "jobs.batch.features.user_behaviour.user_behaviour",
    (
        *(
            Feature(name, f"Events of the type `{kind}`.", TREND)
            for name, kind in (
                ("views", "view"),
                ("clicks", "click"),
                ("carts", "add_to_cart"),
                ("purchases", "purchase"),
                ("returns", "return"),
                ("ratings", "rating"),
                ("likes", "like"),
                ("dislikes", "dislike"),
                ("searches", "search"),
            )
        ),
        Feature("baskets", "Distinct times of purchases.", TREND),
        Feature("days_since", "Recency: days since the last event of interest; NaN without one.", ALL_TIME),
        Feature("spend", "Price times quantity of what was bought, as far as the price is known.", TREND),
        Feature(
            "decayed_spend", "The same, halved by its age.", f"{TREND}, half-life {{affinity_half_life_days}} days"
        ),
        Feature("basket_spend", "Spend per basket.", TREND),
        Feature(
            "hours", "Share of the visits (distinct times) in each of the 24 hours (UTC); empty without one.", TREND
        ),
        Feature("weekdays", "Share of the visits on each day of the week, from Monday; empty without one.", TREND),
        Feature("devices", "Devices of the visits, those of most visits first, then by name.", USUAL),
        Feature("device_shares", "Share of the visits on each of them.", USUAL),
        Feature("surfaces", "Surfaces of the visits, those of most visits first, then by name.", USUAL),
        Feature("surface_shares", "Share of the visits on each of them.", USUAL),
        Feature(
            "categories",
            "Preferred categories (the second level, else the first) by decayed count, then by name.",
            "{preferred_categories} best; half-life {affinity_half_life_days} days",
            (SILVER_EVENTS, SILVER_ITEMS),
        ),
        Feature(
            "category_shares",
            "Share of each in the decayed counts of items with a category.",
            "{preferred_categories} best; half-life {affinity_half_life_days} days",
            (SILVER_EVENTS, SILVER_ITEMS),
        ),
    ),
    view=BEHAVIOUR_VIEW,
)
ITEM_FEATURES = FeatureGroup(
    GOLD_ITEM_FEATURES,
    "item",
    "jobs.batch.features.items.item_features",
    (
        Feature(
            "popularity",
            "Distinct users whose last event of interest with it lies in the window.",
            POPULARITY,
            also_used_by=(
                "models.two_tower.examples.item_table",
                "models.two_tower.training_phases",
                "models.two_tower.vectors",
                "models.evaluation.ground_truth",
            ),
        ),
        Feature(
            "trend_popularity",
            "The same in a longer window.",
            TREND,
            also_used_by=(
                "models.two_tower.examples.item_table",
                "models.two_tower.vectors",
                "models.evaluation.ground_truth",
            ),
        ),
        Feature("purchases", "Purchases.", TREND),
        Feature(
            "users_total",
            "Distinct users with an event of interest.",
            ALL_TIME,
            also_used_by=(
                "models.two_tower.examples.item_table",
                "models.two_tower.examples.inputs",
                "models.evaluation.ground_truth",
            ),
        ),
        Feature("repeat_rate", "Share of these users with two or more occasions.", ALL_TIME),
        Feature(
            "price",
            "Median unit price paid, else the list price, else NaN.",
            TREND,
            (SILVER_EVENTS, SILVER_ITEM_STATES),
        ),
        Feature("age_days", "Days since its first event of interest; NaN without one.", ALL_TIME),
        Feature("freshness", "1 at its first event of interest, and without one; then halved.", FRESHNESS),
        Feature("days_since", "Days since its last event of interest; NaN without one.", ALL_TIME),
        Feature("decayed_views", "Views and clicks, each halved by its age.", ITEM_DECAY),
        Feature("decayed_carts", "Times put into a cart, each halved by its age.", ITEM_DECAY),
        Feature("decayed_purchases", "Purchases, each halved by its age.", ITEM_DECAY),
        Feature(
            "conversion",
            "Share of carts and purchases in decayed views, carts and purchases, shrunk towards the mean of all items.",
            f"{ITEM_DECAY}; as if {{conversion_prior}} more at the mean",
        ),
        Feature("ratings", "How often it was rated.", ALL_TIME),
        Feature(
            "rating",
            "Mean rating (0 to 10), shrunk towards the mean of all ratings; NaN where there are none at all.",
            f"{ALL_TIME}; as if {{rating_prior}} more at the mean",
        ),
        Feature(
            "return_rate",
            "Returns per purchase, at most 1, shrunk towards the mean of all items; NaN without any purchases.",
            f"{ALL_TIME}; as if {{return_prior}} more purchases at the mean",
        ),
    ),
    view=ITEM_VIEW,
    online=True,
)
ITEM_CONTENT = FeatureGroup(
    GOLD_ITEM_CONTENT,
    "item's content",
    "jobs.batch.features.item_content.item_content",
    (
        Feature(
            "content",
            "TF-IDF of the words of title and text, the category path, brand and maker, reduced by an SVD.",
            "now; {content_length} numbers; recomputed when the catalogue changed",
            (SILVER_ITEMS,),
        ),
    ),
    view=CONTENT_VIEW,
)
USER_ITEM_FEATURES = FeatureGroup(
    GOLD_USER_ITEM_FEATURES,
    "user × item",
    "jobs.batch.features.users.user_item_features",
    (
        Feature("count", "Occasions: distinct times of events of interest of the user with the item.", ALL_TIME),
        Feature(
            "decayed_count",
            "The same, each occasion halved by its age.",
            AFFINITY,
            also_used_by=("models.evaluation.ground_truth", "models.neighbours.table"),
        ),
        Feature("first_timestamp", "Time of the first one, microseconds since 1970.", ALL_TIME),
        Feature("last_timestamp", "Time of the last one.", ALL_TIME),
        Feature("days_since", "Days since the last one.", ALL_TIME),
        Feature("affinity", "Share of the item in the user's decayed counts.", AFFINITY),
        Feature("views", "Views and clicks of it by the user.", ALL_TIME),
        Feature("carts", "Times the user put it into a cart.", ALL_TIME),
        Feature("purchases", "Times the user bought it.", ALL_TIME),
    ),
)
GROUPS = (USER_FEATURES, USER_BEHAVIOUR, ITEM_FEATURES, ITEM_CONTENT, USER_ITEM_FEATURES)


@dataclass(frozen=True)
class ContextFeature:
    """A feature of an event or a request: a field of `headrace.features.context.ContextFeatures`, not stored."""

    name: str
    meaning: str
    source: str
    used_by: tuple[str, ...]
    """Modules that use it; a test looks for it there."""


CONTEXT_OWNER = "headrace.features.context.context_features"
_IMPRESSIONS = "serving.api.recommendations"
_BEHAVIOUR = "jobs.batch.features.user_behaviour"
CONTEXT = (
    ContextFeature("hour", "Hour of the day, UTC, 0 to 23.", "time", (_IMPRESSIONS, _BEHAVIOUR)),
    ContextFeature("weekday", "Day of the week, UTC, 0 = Monday.", "time", (_IMPRESSIONS, _BEHAVIOUR)),
    ContextFeature(
        "device",
        "Device in lower case; else `unknown`.",
        "`context.device`",
        (_IMPRESSIONS, "jobs.batch.features.users"),
    ),
    ContextFeature(
        "surface",
        "Surface in the app; for a request its context; else `unknown`.",
        "`context.surface`",
        (_IMPRESSIONS, "jobs.batch.features.users"),
    ),
)
