"""Dry run of an import: which rows it would accept or refuse, and why: `python -m jobs.batch.ingest.dry_run`.

The files are read and validated by the functions of the jobs `ingest` and `clean`. Nothing is written.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime

from pyspark import StorageLevel
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from headrace.events import Event
from headrace.machine.last_resort import reporting_errors
from headrace.settings import Settings, load_settings
from headrace.tables import BRONZE_EVENTS, BRONZE_ITEMS, BRONZE_USERS, Table
from jobs.batch.clean.event_rules import checked
from jobs.batch.clean.item_rules import ITEM_FIELDS, checked_items
from jobs.batch.clean.job import rejected_rows, repeats, typed_events
from jobs.batch.clean.profiles import checked_users
from jobs.batch.engine.lake import Lake
from jobs.batch.ingest.dry_run_report import Forecast, Refused, nothing_to_import, report
from jobs.batch.ingest.file_arguments import add_file_arguments, inputs_of, received_at
from jobs.batch.ingest.files_job import Inputs, file_rows, not_imported_yet, received, wanted_files
from jobs.batch.ingest.readers.files import InputFile

SAMPLES = 3
"""Rows and ids shown of each kind."""
_VALIDATE = {BRONZE_EVENTS: checked, BRONZE_ITEMS: checked_items, BRONZE_USERS: checked_users}
_KNOWN = {BRONZE_EVENTS: (*Event.model_fields, "subject_id"), BRONZE_ITEMS: ITEM_FIELDS}
"""Fields of the contract; every field of a user belongs to the profile."""


def forecasts(lake: Lake, inputs: Inputs, at: datetime) -> list[Forecast]:
    """What importing `inputs`, received at `at`, would do: one forecast for each kind of file given.

    Raises BadInputError as the import would.
    """
    wanted = {table: files for table, files in wanted_files(inputs).items() if files}
    return [_forecast(lake, table, files, inputs, at) for table, files in wanted.items()]


def _forecast(lake: Lake, table: Table, files: Sequence[InputFile], inputs: Inputs, at: datetime) -> Forecast:
    new = not_imported_yet(lake, table, list(files), at)
    skipped = [file.path.name for file in files if file not in new]
    if not new:
        return Forecast(table.name, skipped=skipped)
    rows = received(file_rows(lake.spark, new, inputs, table), at).withColumn("arrival", F.lit(0).cast("long"))
    validated = _VALIDATE[table](rows).persist(StorageLevel.DISK_ONLY)
    try:
        good = validated.where(F.col("refused").isNull())
        number, refused = validated.count(), _refused(validated)
        accepted = (typed_events(validated) if table is BRONZE_EVENTS else good).count()
        repeating = number - sum(each.rows for each in refused.values()) - accepted
        repeated = _repeated(good) if repeating else {}
        unknown = _unknown(good, _KNOWN[table]) if table in _KNOWN else {}
    finally:
        validated.unpersist()
    return Forecast(table.name, len(new), skipped, number, accepted, refused, repeating, repeated, unknown)


def _refused(validated: DataFrame) -> dict[str, Refused]:
    """Rows by reason, each with the first messages."""
    by_reason = Window.partitionBy("reason")
    in_order = by_reason.orderBy("source", "source_offset")
    shown = (
        rejected_rows(validated)
        .select("reason", "message", F.row_number().over(in_order).alias("number"))
        .withColumn("rows", F.max("number").over(by_reason))
        .where(F.col("number") <= SAMPLES)
        .orderBy(F.desc("rows"), "reason", "number")
    )
    found: dict[str, Refused] = {}
    for row in shown.collect():
        before = found[row["reason"]].samples if row["reason"] in found else ()
        found[row["reason"]] = Refused(row["rows"], (*before, row["message"]))
    return found


def _repeated(good: DataFrame) -> dict[str, int]:
    most = repeats(good).orderBy(F.desc("times"), "event_id").limit(SAMPLES)
    return {row["event_id"]: row["times"] for row in most.collect()}


def _unknown(good: DataFrame, known: Sequence[str]) -> dict[str, int]:
    names = good.select(F.explode(F.json_object_keys("raw")).alias("name")).where(~F.col("name").isin(*known))
    rows = names.groupBy("name").agg(F.count(F.lit(1)).alias("rows")).orderBy(F.desc("rows"), "name")
    return {row["name"]: row["rows"] for row in rows.collect()}


def main(arguments: list[str] | None = None) -> int:
    """Command line; 0, or 1 if no row would be accepted or the files cannot be read (one line on stderr)."""
    parser = argparse.ArgumentParser(prog="python -m jobs.batch.ingest.dry_run", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_file_arguments(parser)
    given = parser.parse_args(arguments)
    return reporting_errors(lambda: _printed(_run(inputs_of(given), received_at(given), load_settings())), "error: ")


def _printed(found: list[Forecast]) -> int:
    print(report(found))
    if nothing_to_import(found):
        print("error: no row would be accepted", file=sys.stderr)
        return 1
    print("\nNothing was written.")
    return 0


def _run(inputs: Inputs, at: datetime, settings: Settings) -> list[Forecast]:
    from jobs.batch.engine.session import spark_session

    # Spark creates its warehouse folder at start: not in the home, which may not exist yet.
    with (
        tempfile.TemporaryDirectory() as warehouse,
        spark_session("dry run", settings, {"spark.sql.warehouse.dir": warehouse}) as spark,
    ):
        return forecasts(Lake(spark, settings.lake_root), inputs, at)


if __name__ == "__main__":
    sys.exit(main())
