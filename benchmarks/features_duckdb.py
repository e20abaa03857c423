"""The feature tables of `jobs.batch.features` in DuckDB: the peer of the Spark job, and the check of its result."""

# ruff: noqa: S608 - the statements are put together from numbers only

from __future__ import annotations

from datetime import datetime

from headrace.settings_groups import FeatureSettings
from headrace.tables import microseconds

_DAY_US = 86_400_000_000


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
    return {
        "user_items": f"""
            WITH occasions AS (
                SELECT user_id, item_id, time, sum((event_type = 'purchase' AND time >= {trend})::INT) AS bought
                FROM interest GROUP BY ALL)
            SELECT user_id, item_id, count(*)::FLOAT AS count,
                   sum(power(0.5, ({now} - time) / {half_life}))::FLOAT AS decayed_count,
                   min(time) AS first_timestamp, max(time) AS last_timestamp, sum(bought) AS purchases
            FROM occasions GROUP BY user_id, item_id""",
        "item_features": f"""
            WITH met AS (
                SELECT item_id, sum((last_timestamp >= {popular})::INT) AS popularity,
                       sum((last_timestamp >= {trend})::INT) AS trend_popularity, sum(purchases) AS purchases,
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
