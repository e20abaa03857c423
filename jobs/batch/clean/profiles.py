"""Users: their rules; users and items: the fields of their rows, and the versions of their descriptions."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, WindowSpec
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from headrace.events import MAX_ID_LENGTH, Reason, id_text
from headrace.events.json_text import read_json
from headrace.events.subjects import user_key_sql
from headrace.tables import Table
from jobs.batch.clean.event_rules import refusal, trimmed, with_text
from jobs.batch.clean.versions import as_arrivals, versions_in_order

_FIELDS = pa.field("_fields", pa.map_(pa.string(), pa.string()))


def checked_users(rows: DataFrame) -> DataFrame:
    """Raw rows of a users file as `silver.users` columns (every other field belongs to the profile), with `refused`.

    The id becomes the key that the user has in all tables.
    """
    profile = F.map_filter("_fields", lambda name, value: (name != "user_id") & value.isNotNull() & (value != ""))
    return (
        with_fields(rows, "user_id")
        .withColumn("user_id", text_of("user_id"))
        .select(
            *rows.columns,
            F.expr(user_key_sql("user_id")).alias("user_id"),
            profile.alias("profile"),
            F.lit(True).alias("describes"),
            id_problem("user_id", Reason.MISSING_SUBJECT).alias("refused"),
        )
    )


def next_versions(existing: DataFrame, arrived: DataFrame, table: Table, forgotten: Collection[str] = ()) -> DataFrame:
    """All versions after `arrived` (valid rows). A row without a description only adds its id.

    Who is `forgotten` (hashes) and comes back is not known from the beginning of time: that would be forgotten again.
    """
    names = [name for name in table.schema.names if name not in (table.key[0], "valid_from", "valid_to")]
    known = as_arrivals(existing).withColumn("describes", F.lit(True))
    rows = known.unionByName(arrived.select(*known.columns))

    def content(so_far: WindowSpec) -> list[Column]:
        described = F.last(F.when(F.col("describes"), F.struct(*names)), ignorenulls=True).over(so_far)
        stated = F.coalesce(described, F.struct(*names))
        return [stated.getField(name).alias(name) for name in names]

    returned = F.sha2(table.key[0], 256).isin([*forgotten]) if forgotten else None
    return versions_in_order(existing, rows, table, content, returned)


def with_fields(rows: DataFrame, key: str) -> DataFrame:
    """The rows with `_fields`, a map of the texts in `raw`; null where it is not a JSON object.

    The field `key` is an id by the contract's rule, and left out where it is not valid.
    """
    schema = StructType([*rows.schema.fields, *from_arrow_schema(pa.schema([_FIELDS])).fields])

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            fields = [_texts(raw, key) for raw in batch.column("raw").cast(pa.binary()).to_pylist()]
            columns = [*batch.columns, pa.array(fields, _FIELDS.type)]
            yield pa.RecordBatch.from_arrays(columns, [*batch.schema.names, _FIELDS.name])

    return with_text(rows).mapInArrow(read, schema)


def _texts(raw: bytes, key: str) -> list[tuple[str, str | None]] | None:
    try:
        fields = read_json(raw)
    except ValueError:
        return None
    if not isinstance(fields, dict):
        return None
    texts = {name: value if isinstance(value, str) else _text(value) for name, value in fields.items()}
    return list({**texts, key: id_text(fields.get(key))}.items())


def _text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def text_of(name: str) -> Column:
    """A field of `_fields` without surrounding white space; null where it is empty or not given."""
    return F.nullif(trimmed(F.element_at("_fields", F.lit(name))), F.lit(""))


def id_problem(name: str, missing: Reason) -> Column:
    """Why a row without a valid id is refused: a CASE to which further rules can be added."""
    value = text_of(name)
    too_long = F.concat(F.length(value), F.lit(f" characters, at most {MAX_ID_LENGTH}"))
    return (
        F.when(F.col("_fields").isNull(), refusal(Reason.MALFORMED, "", F.lit("not a row of this file's columns")))
        .when(value.isNull(), refusal(missing, name, F.lit("every row needs one")))
        .when(F.length(value) > MAX_ID_LENGTH, refusal(Reason.ID_TOO_LONG, name, too_long))
    )
