"""The lake's Delta tables: a job replaces the partitions it owns, or appends what is not there yet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date
from functools import reduce
from itertools import groupby
from typing import Any

import pyarrow as pa
from delta.tables import DeltaTable
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from headrace.errors import HeadraceError
from headrace.tables import SILVER_EVENTS, Table

_FEW = 500_000
NOTES_KEPT = "interval 3650 days"
"""How long commits are kept, with their notes; Delta's own 30 days would lose the progress of a paused job."""
_APPENDS = ("WRITE", "STREAMING UPDATE")
"""Delta's operations that add new rows; others rewrite files or delete rows."""


class Lake:
    """The tables below one root folder or bucket."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        self.spark = spark
        self.root = root

    def path(self, table: Table) -> str:
        """Path of the table."""
        return f"{self.root}/{table.path}"

    def exists(self, table: Table) -> bool:
        """Whether the table exists."""
        return bool(DeltaTable.isDeltaTable(self.spark, self.path(table)))

    def read(self, table: Table, version: int | None = None) -> DataFrame:
        """The whole table, current or as of a `version`; one that does not exist yet (version -1) is empty.

        Raises HeadraceError where retention has removed the version.
        """
        if version is not None and version >= 0:
            return self._read_version(table, version)
        if version == -1 or not self.exists(table):
            columns = spark_schema(table.schema)
            return self.spark.range(0).select(*(F.lit(None).cast(c.dataType).alias(c.name) for c in columns))
        return with_declared(self.spark.read.format("delta").load(self.path(table)), table)

    def _read_version(self, table: Table, version: int) -> DataFrame:
        try:
            rows = self.spark.read.format("delta").option("versionAsOf", version).load(self.path(table))
            return with_declared(rows, table)
        except AnalysisException as error:
            raise HeadraceError(
                f"table {table.layer}.{table.name} no longer has version {version} ({error.getCondition()})",
                "The table's retention has removed this version; build from the current tables instead",
            ) from None

    def read_day(self, table: Table, day: date, made_by: str) -> DataFrame:
        """The partition of one day.

        Raises HeadraceError, naming the job `made_by` to run first, where that day was not computed.
        """
        rows = self.read(table).where(F.col("day") == F.lit(day))
        if rows.isEmpty():
            raise self.missing_day(table, day, made_by)
        return rows

    def missing_day(self, table: Table, day: date, made_by: str) -> HeadraceError:
        """The error for a day that was not computed."""
        return HeadraceError(
            f"table {table.layer}.{table.name} has no rows for {day}",
            f"Run `python -m jobs.batch {made_by} --day {day}` first",
        )

    def overwrite_day(self, rows: DataFrame, table: Table, day: date, note: dict[str, Any] | None = None) -> int:
        """Replace the partition of `day` in one commit with `note`; returns the number of rows written."""
        return self.overwrite_days(rows.withColumn("day", F.lit(day)), table, [day], note)

    def overwrite_days(
        self, rows: DataFrame, table: Table, days: Sequence[date], note: dict[str, Any] | None = None
    ) -> int:
        """Replace the partitions of `days` in one commit with `note`; returns the number of rows written."""
        self.ensure(table)
        listed = ", ".join(f"DATE'{day.isoformat()}'" for day in days)
        options = {"replaceWhere": f"day IN ({listed})"}
        if note:
            options["userMetadata"] = json.dumps(note)
        return self._write(rows, table, "overwrite", options)

    def overwrite(self, rows: DataFrame, table: Table, note: dict[str, Any]) -> int:
        """Replace the whole (small) table in one commit that carries `note`."""
        self.ensure(table)
        return self._write(rows, table, "overwrite", {"userMetadata": json.dumps(note)})

    def append(self, rows: DataFrame, table: Table, note: dict[str, Any] | None = None) -> int:
        """Append all `rows` in one commit with `note`; returns their number."""
        self.ensure(table)
        return self._write(rows, table, "append", {"userMetadata": json.dumps(note)} if note else {})

    def append_delivery(self, rows: DataFrame, table: Table, note: dict[str, Any] | None = None) -> int:
        """Append `rows` to a bronze table as its next delivery, in one commit with `note`; returns their number."""
        self.ensure(table)
        return self.append(rows.withColumn("arrival", F.lit(self.version(table) + 1)), table, note)

    def append_new(self, rows: DataFrame, table: Table, note: dict[str, Any] | None = None) -> int:
        """Append the rows whose key is not in the table yet, in one commit with `note`; returns their number.

        `rows` are read twice, because only their keys are compared: pass computed or persisted rows.
        """
        self.ensure(table)
        rows = self._not_held(rows, table)
        if table.partition:  # one task per partition, so that each gets one file
            rows = rows.repartition(table.partition)
        return self._write(rows, table, "append", {"userMetadata": json.dumps(note)} if note else {})

    def _not_held(self, rows: DataFrame, table: Table) -> DataFrame:
        key = list(table.key)
        keys = self.read(table).select(*key)
        if keys.isEmpty():
            return rows
        held = computed(rows.select(*key).join(keys, key, "left_semi").distinct())
        return rows if held.isEmpty() else rows.join(if_few(held), key, "left_anti")

    def _write(self, rows: DataFrame, table: Table, mode: str, options: dict[str, str]) -> int:
        seen = Observation()
        fitting = fitted(rows, table).observe(seen, F.count(F.lit(1)).alias("rows"))
        # A column that was declared since the table was created is added to it; older rows have NULL there.
        writer = fitting.write.format("delta").mode(mode).option("mergeSchema", "true").options(**options)
        if table.partition:
            writer = writer.partitionBy(table.partition)
        writer.save(self.path(table))
        return int(seen.get["rows"])

    def ensure(self, table: Table) -> None:
        """Create the empty table where there is none."""
        if self.exists(table):
            return
        builder = DeltaTable.createIfNotExists(self.spark).location(self.path(table)).comment(table.meaning)
        builder = builder.addColumns(spark_schema(table.schema)).property("delta.logRetentionDuration", NOTES_KEPT)
        if table.layer == "bronze" or table is SILVER_EVENTS:
            builder = builder.property("delta.enableChangeDataFeed", "true")  # no cost for appends
        if table.partition:
            builder = builder.partitionedBy(table.partition)
        builder.execute()

    def version(self, table: Table) -> int:
        """Number of the last commit; -1 where there is no table."""
        if not self.exists(table):
            return -1
        return int(DeltaTable.forPath(self.spark, self.path(table)).history(1).head()["version"])

    def size(self, table: Table) -> int:
        """Bytes of the files of the newest version."""
        return int(DeltaTable.forPath(self.spark, self.path(table)).detail().head()["sizeInBytes"])

    def note(self, table: Table, name: str, default: Any) -> Any:
        """Value of `name` in the newest commit with such a note."""
        return next(iter(self.notes(table, name)), default)

    def notes(self, table: Table, name: str) -> Iterator[Any]:
        """Values of `name` in the commits with such a note, newest first."""
        if not self.exists(table):
            return
        history = DeltaTable.forPath(self.spark, self.path(table)).history()
        noted = history.where(F.col("userMetadata").contains(f'"{name}"')).orderBy(F.desc("version"))
        for commit in noted.select("userMetadata").toLocalIterator():
            yield json.loads(commit["userMetadata"])[name]

    def appended(self, table: Table, after: int) -> DataFrame:
        """Rows of a bronze table that commits after version `after` appended, in the order of `arrival`.

        From the change data feed, in which rows that maintenance rewrites are not arrivals; all of them (`after` -1)
        from the newest version, because the feed's files are kept for a while only. Rows from before arrivals were
        recorded come first there.
        """
        if after < 0:
            return self.read(table).withColumn("arrival", F.coalesce("arrival", F.lit(0).cast("long")))
        changes = self.spark.read.format("delta").option("readChangeFeed", "true")
        arrived = [
            changes.option("startingVersion", first).option("endingVersion", last).load(self.path(table))
            for first, last in _ranges(self._appends(table, after))
        ]
        if not arrived:
            return self.read(table).where(F.lit(False))
        rows = with_declared(reduce(DataFrame.unionByName, arrived), table)
        return (
            rows.select(*table.schema.names, "_commit_version")
            .withColumn("arrival", F.coalesce("arrival", "_commit_version"))
            .drop("_commit_version")
        )

    def days_appended(self, table: Table, after: int) -> list[date]:
        """The days that got rows after version `after`, in order, from the log, even if their files are gone."""
        commits = [f"{self.path(table)}/_delta_log/{version:020}.json" for version in self._appends(table, after)]
        if not commits:
            return []
        action = F.from_json("value", "add struct<partitionValues: map<string, string>>")
        days = self.spark.read.text(commits).select(action["add"]["partitionValues"]["day"].alias("day"))
        return sorted(date.fromisoformat(row["day"]) for row in days.dropna().distinct().collect())

    def _appends(self, table: Table, after: int) -> list[int]:
        new = self.version(table) - after
        if new <= 0:
            return []
        history = DeltaTable.forPath(self.spark, self.path(table)).history(new)
        return sorted(row["version"] for row in history.where(F.col("operation").isin(*_APPENDS)).collect())


def _ranges(versions: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of versions without a gap."""
    for _, run in groupby(enumerate(versions), lambda numbered: numbered[1] - numbered[0]):
        members = [version for _, version in run]
        yield members[0], members[-1]


def computed(rows: DataFrame) -> DataFrame:
    """The rows, computed now and once; released when no longer referenced."""
    return rows.localCheckpoint()


def if_few(rows: DataFrame) -> DataFrame:
    """The computed rows, to be sent to every worker in a join if they are few: the other side is then not shuffled."""
    return F.broadcast(rows) if rows.count() <= _FEW else rows


def spark_schema(schema: pa.Schema) -> StructType:
    """The same columns as Spark types."""
    return from_arrow_schema(schema)


def with_declared(rows: DataFrame, table: Table) -> DataFrame:
    """The rows with every declared column: one that was declared since the table was created is null."""
    types = {field.name: field.dataType for field in spark_schema(table.schema)}
    missing = [name for name in table.schema.names if name not in rows.columns]
    return rows.withColumns({name: F.lit(None).cast(types[name]) for name in missing}) if missing else rows


def fitted(rows: DataFrame, table: Table) -> DataFrame:
    """Exactly the table's columns, in its order and types."""
    types = {field.name: field.dataType for field in spark_schema(table.schema)}
    return rows.select(*(F.col(name).cast(types[name]).alias(name) for name in table.schema.names))
