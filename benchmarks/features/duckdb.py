"""The feature tables of `jobs.batch.features.users` in DuckDB: peer and check of the Spark job."""

# ruff: noqa: S608 - the statements are put together from numbers only

from __future__ import annotations

from datetime import datetime

from headrace.settings.jobs import FeatureSettings
from headrace.tables import microseconds

_DAY_US = 86_400_000_000
COUNTED = {
    "views": "view",
    "clicks": "click",
    "carts": "add_to_cart",
    "purchases": "purchase",
    "returns": "return",
    "ratings": "rating",
    "likes": "like",
    "dislikes": "dislike",
    "searches": "search",
}
CONTEXTS = ("devices", "device_shares", "surfaces", "surface_shares")


def statements(as_of: datetime, settings: FeatureSettings) -> dict[str, str]:
    """SQL per table, over `behaviour` (user_id, item_id, event_type, event_id, value, price, time) and `interest` (part
    of it), `items`, `states` and `users`.

    To be run in this order: later tables read `user_items`.
    """
    now = microseconds(as_of)
    popular, trend = now - settings.popularity_days * _DAY_US, now - settings.trend_days * _DAY_US
    half_life, item_half_life, freshness = (
        days * _DAY_US
        for days in (settings.affinity_half_life_days, settings.item_half_life_days, settings.freshness_half_life_days)
    )
    counted = ", ".join(f"count(*) FILTER (event_type = '{kind}') AS {name}" for name, kind in COUNTED.items())
    return {
        "user_items": f"""
            WITH occasions AS (
                SELECT user_id, item_id, time, count(*) FILTER (event_type IN ('view', 'click')) AS views,
                       count(*) FILTER (event_type = 'add_to_cart') AS carts,
                       count(*) FILTER (event_type = 'purchase') AS purchases,
                       count(*) FILTER (event_type = 'purchase' AND time >= {trend}) AS lately_bought
                FROM interest GROUP BY user_id, item_id, time)
            SELECT user_id, item_id, count(*)::FLOAT AS count,
                   sum(power(0.5, ({now} - time) / {half_life})) AS units, units::FLOAT AS decayed_count,
                   min(time) AS first_timestamp, max(time) AS last_timestamp,
                   (({now} - max(time)) / {_DAY_US})::FLOAT AS days_since, sum(views)::FLOAT AS views,
                   sum(carts)::FLOAT AS carts, sum(purchases)::FLOAT AS purchases, sum(lately_bought) AS lately_bought
            FROM occasions GROUP BY user_id, item_id""",
        "item_features": f"""
            WITH met AS (
                SELECT item_id, sum((last_timestamp >= {popular})::INT) AS popularity,
                       sum((last_timestamp >= {trend})::INT) AS trend_popularity, sum(lately_bought) AS purchases,
                       count(*) AS users_total, sum((count >= 2)::INT) / count(*) AS repeat_rate,
                       min(first_timestamp) AS first, max(last_timestamp) AS last
                FROM user_items GROUP BY item_id),
            decayed AS (
                SELECT item_id, event_type, value, power(0.5, ({now} - time) / {item_half_life}) AS unit
                FROM behaviour WHERE item_id IS NOT NULL),
            counts AS (
                SELECT item_id, coalesce(sum(unit) FILTER (event_type IN ('view', 'click')), 0) AS decayed_views,
                       coalesce(sum(unit) FILTER (event_type = 'add_to_cart'), 0) AS decayed_carts,
                       coalesce(sum(unit) FILTER (event_type = 'purchase'), 0) AS decayed_purchases,
                       count(*) FILTER (event_type = 'rating') AS ratings,
                       coalesce(sum(value) FILTER (event_type = 'rating'), 0) AS rated,
                       count(*) FILTER (event_type = 'purchase') AS bought,
                       least(count(*) FILTER (event_type = 'return'), bought) AS returned
                FROM decayed GROUP BY item_id),
            means AS (
                SELECT sum(decayed_carts + decayed_purchases) / sum(decayed_views + decayed_carts + decayed_purchases)
                           AS converted,
                       sum(rated) / sum(ratings) AS rated, sum(returned) / sum(bought) AS returned
                FROM counts),
            prices AS (
                SELECT item_id, median(price) AS paid FROM interest
                WHERE event_type = 'purchase' AND time >= {trend} AND price IS NOT NULL GROUP BY item_id)
            SELECT coalesce(i.item_id, m.item_id) AS item_id, coalesce(popularity, 0)::FLOAT AS popularity,
                   coalesce(trend_popularity, 0)::FLOAT AS trend_popularity, coalesce(purchases, 0)::FLOAT AS purchases,
                   coalesce(users_total, 0)::FLOAT AS users_total, coalesce(repeat_rate, 0)::FLOAT AS repeat_rate,
                   coalesce(paid, s.price, 'nan')::FLOAT AS price,
                   coalesce(({now} - first) / {_DAY_US}, 'nan')::FLOAT AS age_days,
                   coalesce(power(0.5, ({now} - first) / {freshness}), 1)::FLOAT AS freshness,
                   coalesce(({now} - last) / {_DAY_US}, 'nan')::FLOAT AS days_since,
                   coalesce(decayed_views, 0)::FLOAT AS decayed_views,
                   coalesce(decayed_carts, 0)::FLOAT AS decayed_carts,
                   coalesce(decayed_purchases, 0)::FLOAT AS decayed_purchases,
                   ((coalesce(decayed_carts + decayed_purchases, 0) + {settings.conversion_prior} * a.converted)
                    / (coalesce(decayed_views + decayed_carts + decayed_purchases, 0)
                       + {settings.conversion_prior}))::FLOAT AS conversion,
                   coalesce(ratings, 0)::FLOAT AS ratings,
                   ((coalesce(c.rated, 0) + {settings.rating_prior} * a.rated)
                    / (coalesce(ratings, 0) + {settings.rating_prior}))::FLOAT AS rating,
                   ((coalesce(c.returned, 0) + {settings.return_prior} * a.returned)
                    / (coalesce(bought, 0) + {settings.return_prior}))::FLOAT AS return_rate
            FROM items i FULL JOIN met m ON i.item_id = m.item_id
            LEFT JOIN states s ON s.item_id = i.item_id
            LEFT JOIN prices p ON p.item_id = coalesce(i.item_id, m.item_id)
            LEFT JOIN counts c ON c.item_id = coalesce(i.item_id, m.item_id)
            CROSS JOIN means a""",
        "user_behaviour": f"""
            WITH visits AS (
                SELECT user_id, time, {counted},
                       sum(round(price * coalesce(value, 1), 3)) FILTER (event_type = 'purchase') AS money,
                       coalesce(min(nullif(device, 'unknown')), 'unknown') AS device,
                       coalesce(min(nullif(surface, 'unknown')), 'unknown') AS surface
                FROM behaviour WHERE time >= {trend} GROUP BY user_id, time),
            lately AS (
                SELECT user_id, {", ".join(f"sum({name}) AS {name}" for name in COUNTED)},
                       count(*) FILTER (purchases > 0) AS baskets, sum(money) AS spend,
                       count(*) AS visits,
                       sum(round(money * 1000 * power(0.5, ({now} - time) / {half_life}))) / 1000 AS decayed_spend,
                       {_histogram("hour", 24)} AS hours, {_histogram("isodow", 7, 1)} AS weekdays
                FROM visits GROUP BY user_id),
            {_usual("device", settings.usual_contexts)}, {_usual("surface", settings.usual_contexts)},
            last AS (SELECT user_id, max(last_timestamp) AS last FROM user_items GROUP BY user_id),
            counts AS (
                SELECT user_id, coalesce(category_2, category_1) AS category, sum(units) AS units
                FROM user_items JOIN items USING (item_id) WHERE category IS NOT NULL GROUP BY ALL),
            placed AS (
                SELECT *, units / sum(units) OVER (PARTITION BY user_id) AS share,
                       row_number() OVER (PARTITION BY user_id ORDER BY units DESC, category) AS place
                FROM counts QUALIFY place <= {settings.preferred_categories}),
            preferred AS (
                SELECT user_id, list(category ORDER BY place) AS categories,
                       list(share::FLOAT ORDER BY place) AS category_shares
                FROM placed GROUP BY user_id)
            SELECT coalesce(a.user_id, l.user_id) AS user_id,
                   {", ".join(f"coalesce({name}, 0)::FLOAT AS {name}" for name in (*COUNTED, "baskets"))},
                   coalesce(({now} - last) / {_DAY_US}, 'nan')::FLOAT AS days_since,
                   coalesce(spend, 0)::FLOAT AS spend, coalesce(decayed_spend, 0)::FLOAT AS decayed_spend,
                   coalesce(spend / nullif(baskets, 0), 0)::FLOAT AS basket_spend,
                   coalesce(hours, [])::FLOAT[] AS hours, coalesce(weekdays, [])::FLOAT[] AS weekdays,
                   {", ".join(f"coalesce({name}, []) AS {name}" for name in CONTEXTS)},
                   coalesce(categories, []) AS categories, coalesce(category_shares, []) AS category_shares
            FROM last a FULL JOIN lately l ON l.user_id = a.user_id
            LEFT JOIN devices d ON d.user_id = l.user_id LEFT JOIN surfaces s ON s.user_id = l.user_id
            LEFT JOIN preferred p ON p.user_id = a.user_id""",
        "user_features": f"""
            WITH recent AS (
                SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY time DESC, event_id DESC) AS place
                FROM (SELECT user_id, time, event_id, item_id, event_type FROM interest)
                QUALIFY place <= {settings.history_length}),
            histories AS (
                SELECT user_id, list(event_id ORDER BY place DESC) AS history_event_ids,
                       list(item_id ORDER BY place DESC) AS history_items,
                       list(event_type ORDER BY place DESC) AS history_types,
                       list(time ORDER BY place DESC) AS history_timestamps
                FROM recent GROUP BY user_id),
            ranked AS (
                SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY decayed_count DESC, item_id) AS place
                FROM user_items QUALIFY place <= {settings.affinity_items}),
            own AS (
                SELECT user_id, list(item_id ORDER BY place) AS own_items, list(count ORDER BY place) AS own_counts,
                       list(decayed_count ORDER BY place) AS own_decayed_counts,
                       list(first_timestamp ORDER BY place) AS own_first_timestamps,
                       list(last_timestamp ORDER BY place) AS own_last_timestamps
                FROM ranked GROUP BY user_id),
            totals AS (
                SELECT user_id, sum(events)::BIGINT AS events_total, count(*) AS baskets_total
                FROM (SELECT user_id, time, count(*) AS events FROM interest GROUP BY ALL) GROUP BY user_id),
            profiles AS (
                SELECT user_id, list_transform(list_sort(map_entries(profile)), lambda e: e.key) AS profile_keys,
                       list_transform(list_sort(map_entries(profile)), lambda e: e.value) AS profile_values
                FROM users)
            SELECT coalesce(h.user_id, p.user_id) AS user_id,
                   coalesce(history_event_ids, []) AS history_event_ids, coalesce(history_items, []) AS history_items,
                   coalesce(history_types, []) AS history_types, coalesce(history_timestamps, []) AS history_timestamps,
                   coalesce(own_items, []) AS own_items, coalesce(own_counts, []) AS own_counts,
                   coalesce(own_decayed_counts, []) AS own_decayed_counts,
                   coalesce(own_first_timestamps, []) AS own_first_timestamps,
                   coalesce(own_last_timestamps, []) AS own_last_timestamps,
                   coalesce(events_total, 0) AS events_total, coalesce(baskets_total, 0) AS baskets_total,
                   coalesce(profile_keys, []) AS profile_keys, coalesce(profile_values, []) AS profile_values
            FROM histories h JOIN own o USING (user_id) JOIN totals t USING (user_id)
            FULL JOIN profiles p ON p.user_id = h.user_id""",
    }


def named(name: str) -> str:
    """The device or surface of an event, in lower case; `unknown`."""
    return f"coalesce(nullif(lower(trim(map_extract(context, '{name}')[1])), ''), 'unknown')"


def _usual(name: str, most: int) -> str:
    """Tables with each user's devices or surfaces, those of most visits first, and the shares of these."""
    return f"""
            {name}_visits AS (
                SELECT user_id, {name}, count(*) AS n, sum(n) OVER (PARTITION BY user_id) AS total
                FROM visits GROUP BY user_id, {name}
                QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY n DESC, {name}) <= {most}),
            {name}s AS (
                SELECT user_id, list({name} ORDER BY n DESC, {name}) AS {name}s,
                       list((n / total)::FLOAT ORDER BY n DESC, {name}) AS {name}_shares
                FROM {name}_visits GROUP BY user_id)"""


def _histogram(part: str, length: int, first: int = 0) -> str:
    """A list: the share of the visits in each value of a part of their time."""
    value = f"datepart('{part}', make_timestamp(time))"
    return f"[{', '.join(f'count(*) FILTER ({value} = {each}) / count(*)' for each in range(first, first + length))}]"
