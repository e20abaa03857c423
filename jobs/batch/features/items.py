"""Features of items as of a time: popularity, price, freshness, conversion, ratings and returns.

Popularity is derived from the user × item pass; what is counted by event type is added up in one more pass by item.
Sums are of whole numbers (decayed counts in units of 2⁻³⁰, enough for billions of events per item), as in `users`.

Rates are posterior means: an item with little of its own is near the mean of all items (`…_prior` in the settings).
"""

from __future__ import annotations

from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headrace.events import EventType
from headrace.settings.jobs import FeatureSettings
from headrace.tables import microseconds
from jobs.batch.clean.versions import current_at
from jobs.batch.engine.lake import computed
from jobs.batch.features.shares import share

_UNIT = 2.0**30
_VALUE_UNIT = 2.0**20
_DAY_US = 86_400_000_000
_UNKNOWN = float("nan")
_ZERO = (
    "popularity",
    "trend_popularity",
    "purchases",
    "users_total",
    "repeat_rate",
    "decayed_views",
    "decayed_carts",
    "decayed_purchases",
    "ratings",
)
"""Features that are 0 for an item without events."""


def item_features(
    user_items: DataFrame, behaviour: DataFrame, items: DataFrame, as_of: datetime, settings: FeatureSettings
) -> DataFrame:
    """One row per item of the catalogue or of any event of interest; zeros for items without events.

    `user_items` are the rows of `user_item_features`, with `recent_purchases`, and `behaviour` their events.
    """
    now = microseconds(as_of)
    met = _popularity(user_items, now, settings)
    prices = _prices(behaviour, now - settings.trend_days * _DAY_US)
    counts = computed(_counts(behaviour, now, settings))
    listed = current_at(items, as_of).select("item_id", F.col("price").alias("listed"))
    joined = listed.join(met, "item_id", "full").join(prices, "item_id", "left").join(counts, "item_id", "left")
    age, since = ((F.lit(now) - F.col(time)) / _DAY_US for time in ("first", "last"))
    return joined.select(
        "item_id",
        *(F.coalesce(F.col(name).cast("float"), F.lit(0.0).cast("float")).alias(name) for name in _ZERO),
        F.coalesce("paid", "listed", F.lit(_UNKNOWN)).alias("price"),
        F.coalesce(age, F.lit(_UNKNOWN)).alias("age_days"),
        F.coalesce(F.pow(F.lit(0.5), age / settings.freshness_half_life_days), F.lit(1.0)).alias("freshness"),
        F.coalesce(since, F.lit(_UNKNOWN)).alias("days_since"),
        *_rates(counts, settings),
    )


def _popularity(user_items: DataFrame, now: int, settings: FeatureSettings) -> DataFrame:
    last = F.col("last_timestamp")
    within = {"popularity": settings.popularity_days, "trend_popularity": settings.trend_days}
    return user_items.groupBy("item_id").agg(
        *(F.sum((last >= now - days * _DAY_US).cast("int")).alias(name) for name, days in within.items()),
        F.sum("recent_purchases").alias("purchases"),
        F.count("*").alias("users_total"),
        share(F.sum((F.col("count") >= 2).cast("int")), F.count("*")).alias("repeat_rate"),
        F.min("first_timestamp").alias("first"),
        F.max("last_timestamp").alias("last"),
    )


def _prices(behaviour: DataFrame, since: int) -> DataFrame:
    paid = behaviour.where(F.col("event_type").eqNullSafe(EventType.PURCHASE.value) & (F.col("time") >= since))
    return paid.where(F.col("price").isNotNull()).groupBy("item_id").agg(F.median("price").alias("paid"))


def _counts(behaviour: DataFrame, now: int, settings: FeatureSettings) -> DataFrame:
    """Per item the decayed counts, and the numbers of purchases, ratings (with their sum) and returns."""
    half_lives = (F.lit(now) - F.col("time")) / (settings.item_half_life_days * _DAY_US)
    by_type = (
        behaviour.where(F.col("item_id").isNotNull())
        .groupBy("item_id", "event_type")
        .agg(
            F.count("*").alias("events"),
            F.sum(F.round(F.pow(F.lit(0.5), half_lives) * _UNIT).cast("long")).alias("units"),
            F.sum(F.round(F.col("value") * _VALUE_UNIT).cast("long")).alias("values"),
        )
    )
    rating = (EventType.RATING,)
    return by_type.groupBy("item_id").agg(
        (_of("units", EventType.VIEW, EventType.CLICK) / _UNIT).alias("decayed_views"),
        (_of("units", EventType.ADD_TO_CART) / _UNIT).alias("decayed_carts"),
        (_of("units", EventType.PURCHASE) / _UNIT).alias("decayed_purchases"),
        _of("events", *rating).alias("ratings"),
        (_of("values", *rating) / _VALUE_UNIT).alias("rated"),
        _of("events", EventType.PURCHASE).alias("bought"),
        _of("events", EventType.RETURN).alias("returned"),
    )


def _of(name: str, *types: EventType) -> Column:
    """Sum of a column over the rows of some event types."""
    wanted = F.col("event_type").isin(*(kind.value for kind in types))
    return F.sum(F.when(wanted, F.col(name)).otherwise(F.lit(0).cast("long")))


def _rates(counts: DataFrame, settings: FeatureSettings) -> list[Column]:
    """Conversion, mean rating and return rate, each shrunk towards the mean of all items."""
    wanted = F.col("decayed_carts") + F.col("decayed_purchases")
    rates = {
        "conversion": (wanted, F.col("decayed_views") + wanted, settings.conversion_prior),
        "rating": (F.col("rated"), F.col("ratings"), settings.rating_prior),
        "return_rate": (F.least("returned", "bought"), F.col("bought"), settings.return_prior),
    }
    sums = (F.sum(F.round(part * _VALUE_UNIT).cast("long")) for rate in rates.values() for part in rate[:2])
    totals = [total or 0 for total in counts.agg(*(each.alias(f"_{n}") for n, each in enumerate(sums))).head()]
    columns = []
    for index, (name, (part, whole, prior)) in enumerate(rates.items()):
        numerator, denominator = totals[2 * index : 2 * index + 2]
        mean = numerator / denominator if denominator else _UNKNOWN
        known = (F.coalesce(part, F.lit(0)) + prior * mean) / (F.coalesce(whole, F.lit(0)) + prior)
        columns.append(known.alias(name))
    return columns
