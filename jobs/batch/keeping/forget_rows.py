"""Removal of the rows from before a forget request from every table, and of samples that show them."""

from __future__ import annotations

from delta.tables import DeltaTable
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from headrace.events.subjects import USER_PREFIX
from headrace.forgotten import subject_hash
from headrace.tables import QUALITY_RESULTS
from jobs.batch.engine.lake import Lake, computed, spark_schema
from jobs.batch.engine.personal_rows import HASH, PERSONAL, Requests, Typed, about, as_rows, until_moments
from jobs.batch.engine.received_people import Until, people_in
from jobs.batch.engine.verified import VERIFIED, current_versions, passed_versions, republished


def remove_rows(lake: Lake, asked: Requests) -> dict[str, int]:
    """Delete the rows from before the requests from the current version of all tables; the number removed by table.

    Older versions of the tables still have them until their files are removed.
    """
    removed = {}
    until, before = until_moments(asked), current_versions(lake)
    for table, personal in PERSONAL.items():
        if not (until and lake.exists(table)):
            continue
        rows, held = lake.read(table), DeltaTable.forPath(lake.spark, lake.path(table))
        if isinstance(personal, Typed):
            number = about(rows, personal, until).count()
            theirs, same = as_rows(rows, until), personal.is_before("theirs._asked", "theirs._until")
        else:
            names = [name for name in (*table.key, HASH) if name in held.toDF().columns]  # an old table lacks some
            found = computed(about(rows, personal, until).select(*names))
            number, theirs = found.count(), found.distinct()
            same = " AND ".join(f"held.`{name}` <=> theirs.`{name}`" for name in names)
        if number:
            held.alias("held").merge(theirs.alias("theirs"), same).whenMatchedDelete().execute()
            removed[f"{table.layer}.{table.name}"] = number
    if until and (number := _remove_samples(lake, until)):
        removed[f"{QUALITY_RESULTS.layer}.{QUALITY_RESULTS.name}"] = number
    passed, after = passed_versions(lake), current_versions(lake)
    if passed is not None and after != before:
        nothing = lake.read(QUALITY_RESULTS, -1)
        lake.append(nothing, QUALITY_RESULTS, {VERIFIED: republished(before, after, passed)})
    return removed


def shows_one_of(sample: str, until: Until) -> bool:
    """Whether a sample of a broken row is about one of the subjects; `user_id` in it is an id, or already a key."""
    found = people_in(sample.encode())
    return any(subject_hash(each) in until for each in found | {each.removeprefix(USER_PREFIX) for each in found})


def _remove_samples(lake: Lake, until: Until) -> int:
    """Findings are kept; their samples of broken rows are removed."""
    if not lake.exists(QUALITY_RESULTS):
        return 0
    names = [*QUALITY_RESULTS.key, "samples"]
    changed = []
    for row in lake.read(QUALITY_RESULTS).where(F.size("samples") > 0).select(*names).toLocalIterator():
        kept = [sample for sample in row["samples"] if not shows_one_of(sample, until)]
        if len(kept) < len(row["samples"]):
            changed.append((*row[:-1], kept))
    if changed:
        schema = spark_schema(QUALITY_RESULTS.schema)
        rows = lake.spark.createDataFrame(changed, StructType([schema[name] for name in names]))
        same = " AND ".join(f"held.`{name}` <=> changed.`{name}`" for name in QUALITY_RESULTS.key)
        held = DeltaTable.forPath(lake.spark, lake.path(QUALITY_RESULTS)).alias("held")
        held.merge(rows.alias("changed"), same).whenMatchedUpdate(set={"samples": "changed.samples"}).execute()
    return len(changed)
