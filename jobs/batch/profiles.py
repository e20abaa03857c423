"""Users and items: their rules, and the versions that silver keeps of each (slowly changing, type 2)."""

from __future__ import annotations

from datetime import datetime

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from headrace.events import EARLIEST_TIMESTAMP, MAX_ID_LENGTH, MAX_VALUE, Reason
from headrace.tables import Table
from jobs.batch.event_rules import number_in, refusal, trimmed

_ITEM_TEXTS = ("title", "category_1", "category_2", "category_3", "brand", "maker", "text")
_ITEM_FIELDS = ("item_id", *_ITEM_TEXTS, "price", "available")
_FALSE = ("false", "no", "n", "0")


def checked_items(rows: DataFrame) -> DataFrame:
    """Raw rows of an items file as `silver.items` columns, with `refused` as in `event_rules.checked`."""
    fields = _fields(rows)
    given_price = _value("price")
    price = number_in(given_price)
    bad_price = given_price.isNotNull() & (price.isNull() | ~price.between(0, MAX_VALUE))
    expected = F.concat(F.lit('"'), F.substring(given_price, 1, 78), F.lit(f'" is no number from 0 to {MAX_VALUE:g}'))
    extra = F.map_filter("_fields", lambda name, _: ~name.isin(*_ITEM_FIELDS))
    return fields.select(
        *rows.columns,
        _value("item_id").alias("item_id"),
        F.coalesce(_value("title"), _value("item_id")).alias("title"),
        *(_value(name).alias(name) for name in _ITEM_TEXTS[1:]),
        price.alias("price"),
        (~F.lower(F.coalesce(_value("available"), F.lit("true"))).isin(*_FALSE)).alias("available"),
        F.when(F.size(extra) > 0, F.to_json(extra)).alias("extra"),
        _id_problem("item_id", Reason.MISSING_ITEM)
        .when(bad_price, refusal(Reason.BAD_VALUE, "price", expected))
        .alias("refused"),
    )


def checked_users(rows: DataFrame) -> DataFrame:
    """Raw rows of a users file as `silver.users` columns (every field but the id is profile), with `refused`."""
    profile = F.map_filter("_fields", lambda name, value: (name != "user_id") & value.isNotNull() & (value != ""))
    return _fields(rows).select(
        *rows.columns,
        _value("user_id").alias("user_id"),
        profile.alias("profile"),
        _id_problem("user_id", Reason.MISSING_SUBJECT).alias("refused"),
    )


def current_at(versions: DataFrame, as_of: datetime) -> DataFrame:
    """The version of each user or item that held at `as_of`."""
    ended = F.col("valid_to").isNotNull() & (F.col("valid_to") <= F.lit(as_of))
    return versions.where((F.col("valid_from") <= F.lit(as_of)) & ~ended)


def next_versions(known: DataFrame, arrived: DataFrame, table: Table) -> DataFrame:
    """All versions after `arrived` (good rows, each with `received_at`): a changed row ends the version before it.

    What is learnt first about an id counts as having always been so. The same content again changes nothing.
    """
    key = table.key[0]
    content = [name for name in table.schema.names if name not in (key, "valid_from", "valid_to")]
    newest = Window.partitionBy(key).orderBy(
        *(F.desc(name) for name in ("arrival", "received_at", "source", "source_offset"))
    )
    fresh = (
        arrived.withColumn("_place", F.row_number().over(newest))
        .where("_place = 1")
        .select(key, *content, F.col("received_at").alias("valid_from"))
    )
    hashed = F.xxhash64(F.to_json(F.struct(*content)))
    current = known.where(F.col("valid_to").isNull())
    before = current.select(key, hashed.alias("_before"), F.col("valid_from").alias("_since"))
    compared = fresh.withColumn("_now", hashed).join(before, key, "left")
    changed = compared.where(F.col("_before").isNull() | (F.col("_before") != F.col("_now")))
    first = F.lit(EARLIEST_TIMESTAMP)
    started = changed.select(
        key,
        *content,
        F.when(F.col("_since").isNull(), first).otherwise(F.greatest("valid_from", "_since")).alias("valid_from"),
        F.lit(None).cast("timestamp").alias("valid_to"),
    )
    ends = started.select(key, F.col("valid_from").alias("_end"))
    ended = (
        known.join(ends, key, "left")
        .withColumn("valid_to", F.coalesce("valid_to", "_end"))
        .where(F.col("valid_to").isNull() | (F.col("valid_to") > F.col("valid_from")))
    )
    return ended.select(key, *content, "valid_from", "valid_to").unionByName(started)


def _fields(rows: DataFrame) -> DataFrame:
    return rows.withColumn("_fields", F.from_json("raw", "map<string,string>"))


def _value(name: str) -> Column:
    return F.nullif(trimmed(F.element_at("_fields", F.lit(name))), F.lit(""))


def _id_problem(name: str, missing: Reason) -> Column:
    value = _value(name)
    too_long = F.concat(F.length(value), F.lit(f" characters, at most {MAX_ID_LENGTH}"))
    return (
        F.when(F.col("_fields").isNull(), refusal(Reason.MALFORMED, "", F.lit("not a row of this file's columns")))
        .when(value.isNull(), refusal(missing, name, F.lit("every row needs one")))
        .when(F.length(value) > MAX_ID_LENGTH, refusal(Reason.ID_TOO_LONG, name, too_long))
    )
