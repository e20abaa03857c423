"""Behaviour of users as of a time: recent activity, times, devices and surfaces, spend and preferences.

Counts, times and money look back over `trend_days`, and only those rows are read; preferred categories are derived from
the user × item pass. Sums are of whole numbers (money in thousandths), so that two runs of a day are equal.
"""

from __future__ import annotations

from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headrace.events import EventType
from headrace.features.context import DEVICE, HOURS, SURFACE, UNKNOWN, WEEKDAYS, hour_of, weekday_of
from headrace.settings.jobs import FeatureSettings
from headrace.tables import microseconds
from jobs.batch.clean.versions import current_at
from jobs.batch.engine.lake import computed, if_few
from jobs.batch.features.shares import share

COUNTED = {
    "views": EventType.VIEW,
    "clicks": EventType.CLICK,
    "carts": EventType.ADD_TO_CART,
    "purchases": EventType.PURCHASE,
    "returns": EventType.RETURN,
    "ratings": EventType.RATING,
    "likes": EventType.LIKE,
    "dislikes": EventType.DISLIKE,
    "searches": EventType.SEARCH,
}
"""Column and the event type that it counts."""
_MONEY = 1000.0
_DAY_US = 86_400_000_000


def user_behaviour(
    user_items: DataFrame, behaviour: DataFrame, items: DataFrame, as_of: datetime, settings: FeatureSettings
) -> DataFrame:
    """One row per user with any event of interest, or any other event in the window; else zeros and empty lists.

    `user_items` are the rows of `user_item_features`, with `units`; `behaviour` is what users did in the window (or
    longer), with devices and surfaces.
    """
    lately = _lately(behaviour, as_of, settings)
    last = user_items.groupBy("user_id").agg(F.max("last_timestamp").alias("last"))
    rows = last.join(lately, "user_id", "full").join(_preferred(user_items, items, as_of, settings), "user_id", "left")
    since = (F.lit(microseconds(as_of)) - F.col("last")) / _DAY_US
    return rows.select(
        "user_id",
        *(_or_zero(name) for name in (*COUNTED, "baskets")),
        F.coalesce(since, F.lit(float("nan"))).alias("days_since"),
        *(_or_zero(name) for name in ("spend", "decayed_spend", "basket_spend")),
        *(_or_empty(name, "float") for name in ("hours", "weekdays")),
        *(_or_empty(name, "string") for name in ("devices", "surfaces", "categories")),
        *(_or_empty(name, "float") for name in ("device_shares", "surface_shares", "category_shares")),
    )


def _lately(behaviour: DataFrame, as_of: datetime, settings: FeatureSettings) -> DataFrame:
    """Counts, spend, times, devices and surfaces in the window; events at the same time (a receipt) are one visit."""
    now = microseconds(as_of)
    inside = behaviour.where(F.col("time") >= now - settings.trend_days * _DAY_US)
    paid = F.col("event_type").eqNullSafe(EventType.PURCHASE.value)
    money = F.round(F.col("price") * F.coalesce("value", F.lit(1.0)) * _MONEY)
    decay = F.pow(F.lit(0.5), (F.lit(now) - F.col("time")) / (settings.affinity_half_life_days * _DAY_US))
    visits = inside.groupBy("user_id", "time").agg(
        *(F.count_if(F.col("event_type") == kind.value).alias(name) for name, kind in COUNTED.items()),
        F.sum(F.when(paid, money.cast("long"))).alias("money"),
        *(F.coalesce(F.min(F.nullif(name, F.lit(UNKNOWN))), F.lit(UNKNOWN)).alias(name) for name in (DEVICE, SURFACE)),
    )
    hour, weekday = hour_of(F.col("time")), weekday_of(F.col("time"))
    per_context = visits.groupBy("user_id", DEVICE, SURFACE).agg(
        *(F.sum(name).alias(name) for name in COUNTED),
        F.count_if(F.col("purchases") > 0).alias("baskets"),
        F.sum("money").alias("money"),
        F.sum(F.round(F.col("money") * decay).cast("long")).alias("decayed_money"),
        F.count("*").alias("visits"),
        *(F.count_if(hour == each).alias(f"hour_{each}") for each in range(HOURS)),
        *(F.count_if(weekday == each).alias(f"weekday_{each}") for each in range(WEEKDAYS)),
    )
    added = [name for name in per_context.columns if name not in ("user_id", DEVICE, SURFACE)]
    per_user = per_context.groupBy("user_id").agg(
        *(F.sum(name).alias(name) for name in added),
        F.collect_list(F.struct(DEVICE, SURFACE, "visits")).alias("contexts"),
    )
    spend = F.col("money") / _MONEY
    return per_user.select(
        "user_id",
        *COUNTED,
        "baskets",
        spend.alias("spend"),
        (F.col("decayed_money") / _MONEY).alias("decayed_spend"),
        share(spend, F.col("baskets")).alias("basket_spend"),
        _shares("hour", HOURS).alias("hours"),
        _shares("weekday", WEEKDAYS).alias("weekdays"),
        *_usual(DEVICE, settings.usual_contexts),
        *_usual(SURFACE, settings.usual_contexts),
    )


def _shares(name: str, length: int) -> Column:
    return F.array(*(share(F.col(f"{name}_{each}"), F.col("visits")).cast("float") for each in range(length)))


def _usual(name: str, most: int) -> tuple[Column, Column]:
    """Devices or surfaces of a user, those of most visits first (then by name), and the share of the visits of each."""
    visits = f"aggregate(filter(contexts, each -> each.{name} = named), 0L, (sum, each) -> sum + each.visits)"
    counted = f"transform(array_distinct(contexts.{name}), named -> struct(-{visits} AS rank, named AS name))"
    best = F.slice(F.sort_array(F.expr(counted)), 1, most)
    shares = F.transform(best.getField("rank"), lambda rank: share(-rank, F.col("visits")).cast("float"))
    return best.getField("name").alias(f"{name}s"), shares.alias(f"{name}_shares")


def _preferred(user_items: DataFrame, items: DataFrame, as_of: datetime, settings: FeatureSettings) -> DataFrame:
    """Each user's categories, largest decayed count first (then by name), with their shares among items with one
    (0 where all counts are)."""
    named = current_at(items, as_of).select("item_id", F.coalesce("category_2", "category_1").alias("category"))
    counts = (
        user_items.join(if_few(computed(named.where(F.col("category").isNotNull()))), "item_id")
        .groupBy("user_id", "category")
        .agg(F.sum("units").alias("units"))
    )
    ranked = F.sort_array(F.collect_list(F.struct((-F.col("units")).alias("rank"), "category", "units")))
    listed = counts.groupBy("user_id").agg(ranked.alias("ranked"), F.sum("units").alias("all"))
    best = F.slice("ranked", 1, settings.preferred_categories)
    shares = F.transform(best.getField("units"), lambda units: share(units, F.col("all")).cast("float"))
    return listed.select("user_id", best.getField("category").alias("categories"), shares.alias("category_shares"))


def _or_empty(name: str, kind: str) -> Column:
    return F.coalesce(name, F.array().cast(f"array<{kind}>")).alias(name)


def _or_zero(name: str) -> Column:
    return F.coalesce(F.col(name).cast("float"), F.lit(0.0).cast("float")).alias(name)
