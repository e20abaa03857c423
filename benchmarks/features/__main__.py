"""Gold features by the Spark job and by DuckDB, from the same generated Parquet tables, with the same result.

    python -m benchmarks.features [--rows 10000000] [--rounds 3]

Timed is what the job does once its engine is up: read the events, compute the four tables of a day, write them.
The runs alternate; the median counts. Spark's session starts, and both run once on a few rows, before the clock does.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.features.duckdb import named, statements
from benchmarks.report import in_turns, report
from headrace.settings import Settings
from headrace.settings.jobs import FeatureSettings
from headrace.tables import SILVER_EVENTS, SILVER_ITEM_STATES, SILVER_ITEMS, SILVER_USERS, end_of, microseconds
from jobs.batch.engine.lake import Lake
from jobs.batch.engine.session import spark_session
from jobs.batch.features.job import compute_features

DAY = date(2026, 11, 20)
GOAL = 4.0
DAYS = 364
KINDS = ((0.97, "return"), (0.95, "rating"), (0.9, "add_to_cart"), (0.85, "view"), (0.7, "purchase"))
"""Event types with the share of the events that is below them; the rest are impressions."""
SUMS = ("decayed_views", "decayed_carts", "decayed_purchases", "conversion", "rating", "return_rate", "freshness")
"""Item features that are sums of floats in DuckDB."""
_DAY_US = 86_400_000_000


def generate(lake: Lake, rows: int) -> None:
    """`rows` events of a year, by hashes of their number, so that every run makes the same ones.

    Users and items are skewed (a square and a cube of a uniform number); 7 events in 10 are purchases, half of the rest
    views.
    """
    users, items = max(rows // 100, 50), max(rows // 200, 50)
    end = microseconds(end_of(DAY))
    moment = end - 1 - (_uniform(3) * DAYS * _DAY_US / 600_000_000).cast("long") * 600_000_000
    kind = F.lit("impression")
    for share, name in KINDS:
        kind = F.when(_uniform(4) < share, name).otherwise(kind)
    events = lake.spark.range(0, rows, 1, 8).select(
        F.concat(F.lit("e"), F.col("id")).alias("event_id"),
        kind.alias("event_type"),
        F.concat(F.lit("u"), (F.pow(_uniform(1), 2) * users).cast("long")).alias("subject_id"),
        F.concat(F.lit("i"), (F.pow(_uniform(2), 3) * items).cast("long")).alias("item_id"),
        F.timestamp_micros(moment).alias("timestamp"),
        F.when(kind == "rating", F.round(_uniform(6) * 10)).otherwise(1.0).alias("value"),
        F.round(_uniform(5) * 20, 2).alias("price"),
        F.create_map(
            F.lit("device"), _one_of(7, "Phone", "desktop", "tv"), F.lit("surface"), _one_of(8, "home", "search")
        ).alias("context"),
    )
    _write(lake, events.withColumn("day", F.to_date("timestamp")), SILVER_EVENTS)
    category = F.concat(F.lit("c"), F.col("id") % 50)
    catalogue = lake.spark.range(items).select(
        F.concat(F.lit("i"), "id").alias("item_id"), category.alias("category_1")
    )
    _write(lake, _always(catalogue), SILVER_ITEMS)
    _write(lake, _always(catalogue.select("item_id", F.lit(9.5).alias("price"))), SILVER_ITEM_STATES)
    profile = F.create_map(
        F.lit("age"), (F.col("id") % 7).cast("string"), F.lit("size"), (F.col("id") % 3).cast("string")
    )
    people = lake.spark.range(0, users, 3).select(F.concat(F.lit("u"), "id").alias("user_id"), profile.alias("profile"))
    _write(lake, _always(people), SILVER_USERS)


def spark_run(lake: Lake, settings: Settings) -> None:
    """The job as it is."""
    compute_features(lake, settings, DAY)


def duckdb_run(lake_root: str, output: Path) -> None:
    """The same from the same files, written as Parquet."""
    database = duckdb.connect()
    database.execute("SET threads = 2")
    database.execute("SET preserve_insertion_order = false")
    now = microseconds(end_of(DAY))
    tables = {"events": SILVER_EVENTS, "items": SILVER_ITEMS, "states": SILVER_ITEM_STATES, "users": SILVER_USERS}
    for name, table in tables.items():
        files = f"{lake_root}/{table.path}/**/*.parquet"
        database.execute(f"CREATE VIEW {name} AS FROM read_parquet('{files}', hive_partitioning = false)")
    database.execute(
        "CREATE VIEW behaviour AS SELECT subject_id AS user_id, item_id, event_type, event_id, value, price,"  # noqa: S608
        f" {named('device')} AS device, {named('surface')} AS surface,"
        f" epoch_us(timestamp) AS time FROM events WHERE epoch_us(timestamp) < {now} AND event_type <> 'impression'"
    )
    database.execute(
        "CREATE VIEW interest AS FROM behaviour"
        " WHERE event_type NOT IN ('search', 'dislike', 'return') AND item_id IS NOT NULL"
    )
    for name, query in statements(end_of(DAY), FeatureSettings()).items():
        if name == "user_items":
            database.execute(f"CREATE TABLE user_items AS {query}")
            query = (
                "FROM user_items JOIN (SELECT user_id, sum(units) AS all_units FROM user_items GROUP BY user_id)"
                " USING (user_id) SELECT *, (units / all_units)::FLOAT AS affinity"
            )
        database.execute(f"COPY ({query}) TO '{output / name}.parquet' (FORMAT parquet)")
    database.close()


def check_equal(lake_root: str, output: Path) -> int:
    """Compare the four tables row by row; returns the rows compared. Raises SystemExit where they differ.

    Decayed counts and what is made of them may differ in the last digits of a float32, hence rounded sums and logs.
    """
    database = duckdb.connect()
    shapes = {
        "user_items": (
            "user_item_features",
            "user_id, item_id, count, round(decayed_count, 3) AS d, last_timestamp, days_since, views, carts,"
            " purchases, round(affinity, 4) AS a",
        ),
        "item_features": ("item_features", f"*{{times}} REPLACE ({_rounded(*SUMS)})"),
        "user_behaviour": (
            "user_behaviour",
            "user_id, views, carts, purchases, returns, ratings, searches, baskets, days_since, round(spend, 2) AS s,"
            " round(ln(1 + decayed_spend), 4) AS decayed, round(ln(1 + basket_spend), 4) AS basket, hours, weekdays,"
            " devices, device_shares, surfaces, surface_shares,"
            " list_sort(categories) AS categories, round(list_sum(category_shares), 3) AS shares",
        ),
        "user_features": (
            "user_features",
            "user_id, history_event_ids, history_items, history_types, history_timestamps, events_total, baskets_total,"
            " profile_keys, profile_values, list_sort(own_items) AS items, round(list_sum(own_decayed_counts), 2) AS d",
        ),
    }
    compared = 0
    for name, (table, columns) in shapes.items():
        gold = f"read_parquet('{lake_root}/gold/{table}/**/*.parquet', hive_partitioning = false)"
        ours = f"SELECT {columns.format(times=' EXCLUDE (event_timestamp, created_timestamp)')} FROM {gold}"  # noqa: S608
        peer = f"SELECT {columns.format(times='')} FROM '{output / name}.parquet'"  # noqa: S608
        for one, other in ((ours, peer), (peer, ours)):
            differing = database.execute(f"SELECT count(*) FROM ({one} EXCEPT ALL {other})").fetchone()  # noqa: S608
            count = differing[0] if differing else 0
            total = (database.execute(f"SELECT count(*) FROM ({one})").fetchone() or [0])[0]  # noqa: S608
            # A value that lies on a rounding edge may fall on either side.
            if count > total * 1e-4:
                raise SystemExit(f"{name}: {count} of {total} rows differ")
            compared += total
    return compared


def _rounded(*names: str) -> str:
    return ", ".join(f"round(ln(1 + {name}), 4) AS {name}" for name in names)


def _uniform(stream: int) -> Any:
    """A number in [0, 1) from the row's number."""
    return F.pmod(F.xxhash64(F.col("id"), F.lit(stream)), F.lit(1 << 40)) / float(1 << 40)


def _one_of(stream: int, *names: str) -> Any:
    return F.element_at(F.array(*map(F.lit, names)), (_uniform(stream) * len(names)).cast("int") + 1)


def _always(rows: DataFrame) -> DataFrame:
    return rows.withColumn("valid_from", F.lit("2000-01-01").cast("timestamp"))


def _write(lake: Lake, rows: DataFrame, table: Any) -> None:
    missing = [name for name in table.schema.names if name not in rows.columns]
    full = rows.select("*", *(F.lit(None).alias(name) for name in missing))
    if table.partition:
        full = full.repartition(table.partition)
    lake.append(full, table)


def _spark_seconds(lake: Lake, settings: Settings) -> float:
    shutil.rmtree(f"{lake.root}/gold", ignore_errors=True)
    return _timed(partial(spark_run, lake, settings))


def _timed(run: Callable[[], None]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def main() -> None:
    """Generate, warm up, run in turns, compare, report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.features", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="events to generate (default 10,000,000)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each engine (default 3)")
    given = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="headrace-features-"))
    try:
        with spark_session("features benchmark", Settings(home=home)) as spark:
            ours, peer = _measure(spark, home, given.rows, given.rounds)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    ratio = statistics.median(ours) / statistics.median(peer)
    print(f"{'':10}{'Headrace (Spark)':>18}{'DuckDB':>10}   seconds, {given.rows:,} events")
    for number, (one, other) in enumerate(zip(ours, peer, strict=True), 1):
        print(f"round {number:<4}{one:>18.1f}{other:>10.1f}")
    report(
        name="features",
        ours=round(statistics.median(ours), 2),
        peer=round(statistics.median(peer), 2),
        peer_name="DuckDB, same tables and result",
        ratio=ratio,
        goal=f"at most {GOAL:g} x DuckDB's seconds",
        met=ratio <= GOAL,
        rows=given.rows,
        rounds_ours=ours,
        rounds_peer=peer,
    )


def _measure(spark: SparkSession, home: Path, rows: int, rounds: int) -> tuple[list[float], list[float]]:
    settings = Settings(home=home)
    for name, size in (("warm-up", 20_000), ("measured", rows)):
        lake = Lake(spark, str(home / name))
        output = home / f"{name}-duckdb"
        output.mkdir()
        print(f"generating {size:,} events", flush=True)
        generate(lake, size)
        ours, peer = in_turns(
            rounds if name == "measured" else 1,
            partial(_spark_seconds, lake, settings),
            partial(_timed, partial(duckdb_run, lake.root, output)),
            "s",
        )
        print(f"{check_equal(lake.root, output):,} rows compared: the same", flush=True)
    return ours, peer


if __name__ == "__main__":
    main()
