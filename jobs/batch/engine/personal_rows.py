"""Personal rows of each table, and their removal for forget requests.

Requests have only a hash of the subject, so that neither they nor the tables' logs (with the conditions of deletes)
identify the user.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_

from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headrace.events import WHITESPACE
from headrace.events.subjects import SESSION_PREFIX, user_key_sql
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
    QUALITY_RESULTS,
    REJECTED_EVENTS,
    SILVER_BOTS,
    SILVER_EVENTS,
    SILVER_USERS,
    Table,
)
from jobs.batch.engine.lake import Lake

Requests = Mapping[str, datetime]
"""Time of the request by the hash of the subject."""


@dataclass(frozen=True)
class Personal:
    """SQL of a row's subject and time; a row without a time counts as before any request."""

    subject: str
    time: str
    others: str = ""
    """SQL of an array of more subjects of the row, where it may have several."""


def subject_in(text: str) -> str:
    """SQL of the subject in a JSON text, also where the text is truncated or otherwise invalid JSON."""

    def field(name: str) -> str:
        loose = rf"""regexp_extract({text}, '"{name}"\\s*:\\s*"?([^",}}\\s]+)', 1)"""
        found = f"get_json_object({text}, '$.{name}')"
        typed = f"to_json(try_variant_get(try_parse_json({text}), '$.{name}', 'variant'))"
        ids = f"CASE WHEN {typed} LIKE '\"%' THEN {found} WHEN {typed} IS NOT NULL THEN {_whole(found)}"
        return f"nullif({_trimmed(f'{ids} ELSE coalesce({found}, {loose}) END')}, '')"

    session = f"concat('{SESSION_PREFIX}', {field('session_id')})"
    return f"coalesce({user_key_sql(field('user_id'))}, {field('subject_id')}, {session})"


def _whole(number: str) -> str:
    """SQL of the id that a JSON number is: its whole value in digits, as `headrace.events.id_text`; else null."""
    value = f"try_cast({number} AS double)"
    is_whole = f"abs({value}) < 1e15 AND {value} = floor({value})"
    return f"CASE WHEN {number} RLIKE '^-?[0-9]+$' THEN {number} WHEN {is_whole} THEN string(bigint({value})) END"


def _trimmed(text: str) -> str:
    white_space = "".join(rf"\u{ord(character):04x}" for character in WHITESPACE)
    return f"btrim({text}, '{white_space}')"


def _subjects_in(text: str) -> str:
    """SQL of all subjects anywhere in a text."""

    def named(name: str, key: str) -> str:
        ids = rf"""regexp_extract_all({text}, '"{name}"\\s*:\\s*(?!null)"?([^",}}\\]\\s]+)', 1)"""
        return f"transform({ids}, s -> {key})"

    users, sessions = named("user_id", user_key_sql("s")), named("session_id", f"concat('{SESSION_PREFIX}', s)")
    return f"concat({users}, {named('subject_id', 's')}, {sessions})"


def _received_on(moment: str) -> str:
    """SQL of the start of the day: files count as received at the midnight that ends the day of their import."""
    return f"date_trunc('DAY', {moment} - INTERVAL 1 MICROSECOND)"


_RECEIVED = Personal(
    subject_in("raw"),
    f"coalesce(try_cast(get_json_object(raw, '$.timestamp') AS timestamp), {_received_on('received_at')})",
)
_NOTED = Personal(
    subject_in("raw"),
    "coalesce(try_cast(get_json_object(raw, '$.timestamp') AS timestamp),"
    " try_cast(get_json_object(raw, '$.received_at') AS timestamp), received_at)",
    _subjects_in("get_json_object(raw, '$.raw')"),  # a dead letter has the body as sent, of one user or several
)
_BY_DAY = Personal("user_id", "CAST(day AS timestamp)")
PERSONAL: Mapping[Table, Personal] = {
    BRONZE_EVENTS: _RECEIVED,
    BRONZE_USERS: Personal(subject_in("raw"), _received_on("received_at")),
    BRONZE_NOTES: _NOTED,
    REJECTED_EVENTS: _RECEIVED,
    SILVER_EVENTS: Personal("subject_id", "timestamp"),
    SILVER_BOTS: Personal("subject_id", "CAST(day AS timestamp)"),
    SILVER_USERS: Personal("user_id", _received_on("valid_from")),
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
    newest = lake.read(FORGET_REQUESTS).groupBy("subject_hash").agg(F.max("requested_at").alias("at"))
    return {row["subject_hash"]: row["at"] for row in newest.collect()}


def sessions_of(lake: Lake, hashed: str) -> list[str]:
    """Subjects of the user's sessions: their events before signing in belong to the user too."""
    if not lake.exists(SILVER_EVENTS):
        return []
    both = F.col("user_id").isNotNull() & F.col("session_id").isNotNull()
    theirs = lake.read(SILVER_EVENTS).where((F.sha2("subject_id", 256) == hashed) & both)
    return [SESSION_PREFIX + row[0] for row in theirs.select("session_id").distinct().orderBy("session_id").collect()]


def without_forgotten(rows: DataFrame, table: Table, asked: Requests) -> DataFrame:
    """The rows to be appended to a bronze table, without those from before a request."""
    return rows.where(~of_before(PERSONAL[table], asked)) if asked and table in PERSONAL else rows


def remove_rows(lake: Lake, asked: Requests) -> dict[str, int]:
    """Delete the rows from before the requests from the current version of all tables; the number removed by table.

    Older versions of the tables still have them until their files are removed.
    """
    removed = {}
    for table, personal in PERSONAL.items():
        if not (asked and lake.exists(table)):
            continue
        theirs = of_before(personal, asked)
        if number := lake.read(table).where(theirs).count():
            DeltaTable.forPath(lake.spark, lake.path(table)).delete(theirs)
            removed[f"{table.layer}.{table.name}"] = number
    if asked and (number := _remove_samples(lake, asked)):
        removed[f"{QUALITY_RESULTS.layer}.{QUALITY_RESULTS.name}"] = number
    return removed


def named_by(personal: Personal, hashes: Collection[str]) -> Column:
    """Whether the row is about one of the subjects."""
    theirs = F.coalesce(F.sha2(F.expr(personal.subject), 256).isin(*hashes), F.lit(False))
    if not personal.others:
        return theirs
    return theirs | F.coalesce(
        F.exists(F.expr(personal.others), lambda other: F.sha2(other, 256).isin(*hashes)), F.lit(False)
    )


def of_before(personal: Personal, asked: Requests) -> Column:
    """Whether the row's subject has a forget request, and the row is from before it (or has no time)."""
    time = F.expr(personal.time)
    return reduce(
        or_,
        (named_by(personal, [hashed]) & F.coalesce(time <= F.lit(at), F.lit(True)) for hashed, at in asked.items()),
    )


def _remove_samples(lake: Lake, asked: Requests) -> int:
    """Findings are kept; their samples of broken rows are removed."""
    if not lake.exists(QUALITY_RESULTS):
        return 0
    listed = ", ".join(f"'{hashed}'" for hashed in asked)
    theirs = f"coalesce(sha2({subject_in('s')}, 256) IN ({listed}), false)"
    shown = F.expr(f"exists(samples, s -> {theirs})")
    number = lake.read(QUALITY_RESULTS).where(shown).count()
    if number:
        kept = F.expr(f"filter(samples, s -> NOT {theirs})")
        DeltaTable.forPath(lake.spark, lake.path(QUALITY_RESULTS)).update(shown, {"samples": kept})
    return number
