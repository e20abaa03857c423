"""Personal rows of each table, and which of them are from before a forget request.

Requests have only a hash of the subject, so that neither they nor the tables' logs (with the conditions of deletes)
identify the user. However many requests there are, a table is joined with them once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from headrace.events.subjects import SESSION_PREFIX
from headrace.forgotten import subject_hash
from headrace.tables import (
    BRONZE_EVENTS,
    BRONZE_NOTES,
    BRONZE_USERS,
    FORGET_REQUESTS,
    GOLD_RANKING_EXAMPLES,
    GOLD_RETRIEVAL_EXAMPLES,
    GOLD_USER_BEHAVIOUR,
    GOLD_USER_FEATURES,
    GOLD_USER_ITEM_FEATURES,
    REJECTED_EVENTS,
    SILVER_BOTS,
    SILVER_EVENTS,
    SILVER_USERS,
    Table,
    microseconds,
)
from jobs.batch.engine.lake import Lake
from jobs.batch.engine.received_people import EVER, Clock, Until, contract_hash, is_forgotten

Requests = Mapping[str, datetime]
"""Time of the request by the hash of the subject."""
HASH = "subject_hash"


@dataclass(frozen=True)
class Typed:
    """SQL of a row's subject and time; a row without a time counts as before any request."""

    subject: str
    time: str

    def is_before(self, asked: str, until: str) -> str:
        """SQL of whether the row is from before a request, from that of the request's hash and time."""
        return f"sha2({self.subject}, 256) = {asked} AND coalesce(unix_micros({self.time}) <= {until}, true)"


@dataclass(frozen=True)
class Received:
    """Rows as received, with the hash of their subject since their arrival."""

    clock: Clock


_BY_DAY = Typed("user_id", "CAST(day AS timestamp)")
PERSONAL: Mapping[Table, Typed | Received] = {
    BRONZE_EVENTS: Received(Clock.EVENT),
    BRONZE_USERS: Received(Clock.FILE),
    BRONZE_NOTES: Received(Clock.NOTE),
    REJECTED_EVENTS: Received(Clock.EVENT),
    SILVER_EVENTS: Typed("subject_id", "`timestamp`"),
    SILVER_BOTS: Typed("subject_id", "CAST(day AS timestamp)"),
    # Files count as received at the midnight that ends the day of their import.
    SILVER_USERS: Typed("user_id", "date_trunc('DAY', valid_from - INTERVAL 1 MICROSECOND)"),
    GOLD_USER_FEATURES: _BY_DAY,
    GOLD_USER_BEHAVIOUR: _BY_DAY,
    GOLD_USER_ITEM_FEATURES: _BY_DAY,
    GOLD_RETRIEVAL_EXAMPLES: _BY_DAY,
    GOLD_RANKING_EXAMPLES: _BY_DAY,
}
"""Tables with personal rows; `quality.results` has some as samples, the others have none."""


def requests(lake: Lake) -> dict[str, datetime]:
    """Every stored request, the last one of each subject."""
    if not lake.exists(FORGET_REQUESTS):
        return {}
    newest = lake.read(FORGET_REQUESTS).groupBy(HASH).agg(F.max("requested_at").alias("at"))
    return {row[HASH]: row["at"] for row in newest.collect()}


def sessions_of(lake: Lake, hashed: str) -> list[str]:
    """Subjects of the user's sessions: their events before signing in belong to the user too."""
    if not lake.exists(SILVER_EVENTS):
        return []
    both = F.col("user_id").isNotNull() & F.col("session_id").isNotNull()
    theirs = lake.read(SILVER_EVENTS).where((F.sha2("subject_id", 256) == hashed) & both)
    return [SESSION_PREFIX + row[0] for row in theirs.select("session_id").distinct().orderBy("session_id").collect()]


def until_moments(asked: Requests) -> dict[str, int]:
    """The requests with their times in microseconds."""
    return {hashed: microseconds(at) for hashed, at in asked.items()}


def with_subjects(rows: DataFrame, table: Table, asked: Requests) -> DataFrame:
    """The rows to be appended to a bronze table with the hash of their subject, without those from before a request."""
    personal = PERSONAL.get(table)
    if not isinstance(personal, Received):
        return rows.withColumn(HASH, F.lit(None).cast("string"))
    clock, until, names = personal.clock, until_moments(asked), [*rows.columns, HASH]

    def hash_subjects(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            raws = _raws(batch)
            hashes = [contract_hash(raw) for raw in raws]
            found = pa.RecordBatch.from_arrays([*batch.columns, pa.array(hashes, pa.string())], names)
            if until:
                times = _times(batch)
                theirs = map(is_forgotten, raws, times, [clock] * len(raws), [until] * len(raws), hashes)
                found = found.filter(pa.array([not each for each in theirs], pa.bool_()))
            yield found

    return rows.mapInArrow(hash_subjects, StructType([*rows.schema.fields, StructField(HASH, StringType())]))


def of_the_forgotten(rows: DataFrame, clock: Clock, until: Until, key: str | None = None) -> DataFrame:
    """The rows as received that are from before a request.

    `key` names a column with one more subject, whose rows are from before a request by the time of their arrival.
    """
    names = rows.columns

    def keep_theirs(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            times = _times(batch)
            hashes = batch.column(HASH).to_pylist() if HASH in names else [None] * len(times)
            keys = batch.column(key).to_pylist() if key else [None] * len(times)
            theirs = [
                is_forgotten(raw, time, clock, until, hashed)
                or (about is not None and until.get(subject_hash(about), -1) >= time)
                for raw, time, hashed, about in zip(_raws(batch), times, hashes, keys, strict=True)
            ]
            yield batch.filter(pa.array(theirs, pa.bool_()))

    return rows.mapInArrow(keep_theirs, rows.schema)


def about(rows: DataFrame, personal: Typed | Received, until: Until) -> DataFrame:
    """The rows of a table, or of its files, from before a request."""
    asked = F.broadcast(as_rows(rows, until))
    if isinstance(personal, Typed):
        return rows.join(asked, F.expr(personal.is_before("_asked", "_until")), "left_semi")
    # What is about nobody by the contract, or arrived before hashes were recorded, is read: few rows, or an old table.
    unknown = F.coalesce(HASH, F.lit("")) == ""
    joined = rows.join(asked, F.col(HASH) == F.col("_asked"), "left")
    chosen = joined.where(unknown | F.col("_asked").isNotNull()).select(*rows.columns)
    return of_the_forgotten(chosen, personal.clock, until)


def ever(subjects: Iterable[str]) -> dict[str, int]:
    """Requests that concern every row about the subjects."""
    return {subject_hash(subject): EVER for subject in subjects}


def as_rows(rows: DataFrame, until: Until) -> DataFrame:
    """The requests as rows of `_asked` (the hash) and `_until`, in the session of `rows`."""
    return rows.sparkSession.createDataFrame(list(until.items()), "_asked string, _until long")


def _raws(batch: pa.RecordBatch) -> list[bytes]:
    return [raw or b"" for raw in batch.column("raw").cast(pa.binary()).to_pylist()]


def _times(batch: pa.RecordBatch) -> list[int]:
    """Times of arrival in microseconds; a missing one is before any request."""
    return [time or 0 for time in batch.column("received_at").cast(pa.int64()).to_pylist()]
