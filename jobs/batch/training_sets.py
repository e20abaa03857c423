"""Job `training_sets`: examples for both models, with features as they were known before what is to be predicted."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from headrace.errors import HeadraceError
from headrace.settings import Settings
from headrace.tables import (
    GOLD_RANKING_EXAMPLES,
    GOLD_RETRIEVAL_EXAMPLES,
    GOLD_USER_FEATURES,
    SILVER_EVENTS,
    SILVER_MACHINES,
    SILVER_USERS,
    end_of,
    microseconds,
)
from jobs.batch.features import interest_before, profiles, sequences
from jobs.batch.lake import Lake, spark_schema
from jobs.batch.machines import without_machines
from jobs.batch.point_in_time import point_in_time
from jobs.batch.training_recipe import SOURCES, Recipe, current_recipe

_DAY_US = 86_400_000_000


def write_training_sets(lake: Lake, settings: Settings, day: date, recipe: Recipe | None = None) -> int:
    """Replace both gold example partitions of `day`; returns the rows written.

    With the `recipe` of an earlier build its versions and settings are taken, and the same files come out. Raises
    HeadraceError where the user features of the day before the holdout were not computed, or a version is gone.
    """
    recipe = recipe or current_recipe(lake, settings, day)
    sources = {table: lake.read(table, recipe.versions[table.path]) for table in SOURCES}
    as_of = end_of(day)
    holdout_start = as_of - timedelta(days=recipe.holdout_days)
    interest = interest_before(without_machines(sources[SILVER_EVENTS], sources[SILVER_MACHINES]), as_of)
    retrieval = retrieval_examples(interest, sources[SILVER_USERS], as_of, recipe.retrieval_days, recipe.history_length)
    holdout_day = (holdout_start - timedelta(days=1)).date()
    features = sources[GOLD_USER_FEATURES]
    if known_at(features, holdout_start).isEmpty():
        raise HeadraceError(
            f"table gold.user_features has no row known at {holdout_start:%Y-%m-%d %H:%M}",
            f"Run `python -m jobs.batch features --day {holdout_day}` first, or `features --holdout --day {day}`",
        )
    ranking = ranking_examples(features, interest, holdout_start)
    return sum(
        lake.overwrite_day(_in_order(rows, recipe.files), table, day, recipe.note())
        for rows, table in ((retrieval, GOLD_RETRIEVAL_EXAMPLES), (ranking, GOLD_RANKING_EXAMPLES))
    )


def retrieval_examples(
    interest: DataFrame, users: DataFrame, as_of: datetime, window_days: int, history_length: int
) -> DataFrame:
    """One row per user with events in the window: its sequence there and the `history_length` events before it."""
    start = microseconds(as_of) - window_days * _DAY_US
    newest_before = Window.partitionBy("user_id", "_inside").orderBy(F.desc("time"), F.desc("event_id"))
    placed = interest.withColumn("_inside", F.col("time") >= start).withColumn(
        "_place", F.row_number().over(newest_before)
    )
    kept = placed.where(F.col("_inside") | (F.col("_place") <= history_length))
    first_target = F.size(F.filter("timestamps", lambda time: time < start)).cast("int")
    examples = sequences(kept).withColumn("first_target", first_target).where(F.col("first_target") < F.size("items"))
    return _with_profile(examples, profiles(users, as_of)).drop("event_ids")


def ranking_examples(features: DataFrame, interest: DataFrame, as_of: datetime) -> DataFrame:
    """One row per user with events from `as_of` on: the features as known at `as_of`, and the items of those events.

    Who was not known yet gets a row of empty features, as serving would have had.
    """
    targets = (
        interest.where(F.col("time") >= microseconds(as_of))
        .groupBy("user_id", "item_id")
        .agg(F.countDistinct("time").cast("float").alias("occasions"))
        .groupBy("user_id")
        .agg(F.sort_array(F.collect_list(F.struct("item_id", "occasions"))).alias("taken"))
        .select(
            "user_id", F.col("taken.item_id").alias("target_items"), F.col("taken.occasions").alias("target_counts")
        )
    )
    columns = [name for name in GOLD_USER_FEATURES.schema.names if name not in ("user_id", "day")]
    asked = targets.withColumn("_as_of", F.lit(as_of))
    joined = point_in_time(asked, known_at(features, as_of), "user_id", "_as_of", columns)
    return joined.select("user_id", "target_items", "target_counts", *_or_empty(as_of))


def known_at(features: DataFrame, as_of: datetime) -> DataFrame:
    """The rows that speak of a moment up to `as_of` and had been computed by then."""
    return features.where((F.col("event_timestamp") <= F.lit(as_of)) & (F.col("created_timestamp") <= F.lit(as_of)))


def _in_order(rows: DataFrame, files: int) -> DataFrame:
    """Each user's rows in the same file and place every time, whatever order they were computed in."""
    return rows.repartition(files, "user_id").sortWithinPartitions("user_id")


def _with_profile(rows: DataFrame, known: DataFrame) -> DataFrame:
    joined = rows.join(known, "user_id", "left")
    empty = F.array().cast("array<string>")
    return joined.withColumn("profile_keys", F.coalesce("profile_keys", empty)).withColumn(
        "profile_values", F.coalesce("profile_values", empty)
    )


def _or_empty(as_of: datetime) -> list[Column]:
    columns = []
    for field in spark_schema(GOLD_USER_FEATURES.schema):
        if field.name in ("user_id", "day"):
            continue
        if field.name in ("event_timestamp", "created_timestamp"):
            empty = F.lit(as_of)
        else:
            empty = (F.array() if field.dataType.typeName() == "array" else F.lit(0)).cast(field.dataType)
        columns.append(F.coalesce(F.col(field.name), empty).alias(field.name))
    return columns
