"""Job `training_sets`: examples for both models, with features as of the time before their targets."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from headrace.errors import HeadraceError
from headrace.outcomes import OUTCOME_COLUMNS, PROPENSITY
from headrace.release.code_version import code_version
from headrace.settings import Settings
from headrace.tables import (
    GOLD_RANKING_EXAMPLES,
    GOLD_RETRIEVAL_EXAMPLES,
    GOLD_USER_FEATURES,
    SILVER_BOTS,
    SILVER_EVENTS,
    SILVER_USERS,
    end_of,
    microseconds,
)
from jobs.batch.clean.bots import without_bots
from jobs.batch.engine.lake import Lake, spark_schema
from jobs.batch.features.users import interest_before, profiles, sequences
from jobs.batch.training.point_in_time import point_in_time
from jobs.batch.training.recipe import SOURCES, Recipe, current_recipe

_DAY_US = 86_400_000_000


def write_training_sets(lake: Lake, settings: Settings, day: date, recipe: Recipe | None = None) -> int:
    """Replace both gold example partitions of `day`; returns the rows written.

    With the `recipe` of an earlier build its versions and settings are used, and the result has the same data. Raises
    HeadraceError where the user features of the day before the holdout were not computed, or retention has removed a
    version.
    """
    recipe = recipe or current_recipe(lake, settings, day)
    sources = {table: lake.read(table, recipe.versions[table.path]) for table in SOURCES}
    as_of = end_of(day)
    holdout_start = as_of - timedelta(days=recipe.holdout_days)
    events = without_bots(sources[SILVER_EVENTS], sources[SILVER_BOTS])
    interest = interest_before(events, as_of)
    retrieval = retrieval_examples(interest, sources[SILVER_USERS], as_of, recipe.retrieval_days, recipe.history_length)
    holdout_day = (holdout_start - timedelta(days=1)).date()
    features = sources[GOLD_USER_FEATURES]
    if known_at(features, holdout_start).isEmpty():
        raise HeadraceError(
            f"table gold.user_features has no row as of {holdout_start:%Y-%m-%d %H:%M}",
            f"Run `python -m jobs.batch features --day {holdout_day}` first, or `features --holdout --day {day}`",
        )
    shown = impressions(events, holdout_start, as_of)
    ranking = ranking_examples(features, interest, holdout_start, shown)
    note = replace(recipe, code=code_version()).note()
    return sum(
        lake.overwrite_day(_in_order(rows, recipe.files), table, day, note)
        for rows, table in ((retrieval, GOLD_RETRIEVAL_EXAMPLES), (ranking, GOLD_RANKING_EXAMPLES))
    )


def retrieval_examples(
    interest: DataFrame, users: DataFrame, as_of: datetime, window_days: int, history_length: int
) -> DataFrame:
    """One row per user with events in the window: its sequence there and the `history_length` events before it."""
    start = microseconds(as_of) - window_days * _DAY_US
    newest_before = Window.partitionBy("user_id", "_inside").orderBy(F.desc("time"), F.desc("event_id"))
    placed = interest.withColumn("_inside", F.col("time") >= start).withColumn(
        "_rank", F.row_number().over(newest_before)
    )
    kept = placed.where(F.col("_inside") | (F.col("_rank") <= history_length))
    first_target = F.size(F.filter("timestamps", lambda time: time < start)).cast("int")
    examples = sequences(kept).withColumn("first_target", first_target).where(F.col("first_target") < F.size("items"))
    return _with_profile(examples, profiles(users, as_of)).drop("event_ids")


def impressions(events: DataFrame, start: datetime, end: datetime) -> DataFrame:
    """Impressions in [start, end): `position` is -1 and `propensity` 1 where the event has none."""
    inside = (F.col("timestamp") >= F.lit(start)) & (F.col("timestamp") < F.lit(end))
    days = F.col("day").between(F.lit(start.date()), F.lit(end.date()))
    chance = F.expr(f"try_cast(context['{PROPENSITY}'] AS float)")
    return events.where(days & inside & _is("impression") & F.col("item_id").isNotNull()).select(
        F.col("subject_id").alias("user_id"),
        "item_id",
        "event_type",
        "event_id",
        F.unix_micros("timestamp").alias("time"),
        F.coalesce("position", F.lit(-1)).alias("position"),
        F.when((chance > 0) & (chance <= 1), chance).otherwise(F.lit(1.0)).cast("float").alias("propensity"),
    )


def ranking_examples(
    features: DataFrame, interest: DataFrame, as_of: datetime, shown: DataFrame | None = None
) -> DataFrame:
    """One row per user with events of interest from `as_of` on: the features as of `as_of`, the items of those
    events with what was done to each, and those of the impressions in `shown`.

    Users without features yet get a row of empty ones, as serving would have had.
    """
    later = interest.where(F.col("time") >= microseconds(as_of))
    if shown is not None:
        later = later.unionByName(shown, allowMissingColumns=True)
    else:
        later = later.withColumns({"position": F.lit(None).cast("int"), "propensity": F.lit(None).cast("float")})
    is_shown = _is("impression")
    # Seconds as whole milliseconds: sums do not depend on the order.
    dwell = F.when(_is("view"), F.round(F.col("value") * 1000).cast("long"))
    met = later.groupBy("user_id", "item_id").agg(
        F.size(F.collect_set(F.when(~is_shown, F.col("time")))).cast("float").alias("occasions"),
        F.count_if(_is("view", "click")).cast("float").alias("clicks"),
        F.count_if(_is("add_to_cart")).cast("float").alias("carts"),
        F.count_if(_is("purchase")).cast("float").alias("purchases"),
        (F.coalesce(F.sum(dwell), F.lit(0)) / 1000).cast("float").alias("dwell"),
        F.min(F.when(is_shown, F.struct("time", "event_id", "position", "propensity"))).alias("first"),
    )
    target = F.struct("item_id", "occasions", "clicks", "carts", "purchases", "dwell")
    shown = F.struct("item_id", "first.position", "first.propensity")
    targets = (
        met.groupBy("user_id")
        .agg(
            F.sort_array(F.collect_list(F.when(F.col("occasions") > 0, target))).alias("taken"),
            F.sort_array(F.collect_list(F.when(F.col("first").isNotNull(), shown))).alias("shown"),
        )
        .where(F.size("taken") > 0)
        .select(
            "user_id",
            F.col("taken.item_id").alias("target_items"),
            F.col("taken.occasions").alias("target_counts"),
            *(F.col(f"taken.{name.removeprefix('target_')}").alias(name) for name in OUTCOME_COLUMNS),
            F.col("shown.item_id").alias("shown_items"),
            F.col("shown.position").cast("array<bigint>").alias("shown_positions"),
            F.col("shown.propensity").alias("shown_propensities"),
        )
    )
    outcomes = [name for name in targets.columns if name != "user_id"]
    columns = [name for name in GOLD_USER_FEATURES.schema.names if name not in ("user_id", "day")]
    asked = targets.withColumn("_as_of", F.lit(as_of))
    joined = point_in_time(asked, known_at(features, as_of), "user_id", "_as_of", columns)
    return joined.select("user_id", *outcomes, *_or_empty(as_of))


def _is(*kinds: str) -> Column:
    return F.col("event_type").isin(*kinds)


def known_at(features: DataFrame, as_of: datetime) -> DataFrame:
    """The rows with event_timestamp and created_timestamp up to `as_of`."""
    return features.where((F.col("event_timestamp") <= F.lit(as_of)) & (F.col("created_timestamp") <= F.lit(as_of)))


def _in_order(rows: DataFrame, files: int) -> DataFrame:
    """Each user's rows at the same position of the same file in every build, whatever the order of computation."""
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
