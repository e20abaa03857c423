"""Checks whether data of a user is left: in every existing file, not only in the current tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from headrace.forgotten import subject_hash
from headrace.settings import Settings
from headrace.tables import QUALITY_RESULTS, TABLES, Table
from jobs.batch.engine.lake import Lake, spark_schema
from jobs.batch.engine.personal_rows import PERSONAL, about, ever
from jobs.batch.keeping.forget_files import found_in_files, naming
from jobs.batch.keeping.forget_online import connected, found_in_files_of_store, found_online
from jobs.batch.keeping.forget_rows import shows_one_of
from jobs.batch.keeping.forget_state import found_in_checkpoints
from jobs.batch.keeping.forget_topics import found_on_topics


def what_is_left(lake: Lake, settings: Settings, subjects: Sequence[str]) -> dict[str, str]:
    """By location, the data of the subjects that is left there; empty if there is none.

    Reads all Parquet files below the tables' folders (older versions, change feeds, files of interrupted runs)
    and the tables' logs with their checkpoints, all keys of the online store, all records of the topics, the files in
    the home folder, and the store's files and the stream's checkpoints there.
    """
    left: dict[str, str] = {}
    for table in TABLES:
        if lake.exists(table):
            left |= _in_table(lake, table, subjects)
    store = connected(settings)
    if keys := found_online(store, subjects):
        left["online store"] = ", ".join(keys)
    left |= found_on_topics(lake, settings, [subject_hash(subject) for subject in subjects])
    left |= found_in_files_of_store(settings, subjects) | found_in_checkpoints(settings, subjects)
    return left | found_in_files(settings, subjects)


def _in_table(lake: Lake, table: Table, subjects: Sequence[str]) -> dict[str, str]:
    name = f"{table.layer}.{table.name}"
    left = {}
    if table in PERSONAL or table is QUALITY_RESULTS:
        files = list(_files(lake, table, ".parquet"))
        if rows := _theirs(lake, table, files, subjects) if files else 0:
            left[name] = f"{rows:,} rows in {len(files):,} files of all versions"
    if lines := _lines_of_log(lake, table).where(F.col("value").rlike(naming(subjects).pattern)).count():
        left[f"log of {name}"] = f"{lines:,} lines"
    return left


def _lines_of_log(lake: Lake, table: Table) -> DataFrame:
    """Commits and checksums as text; checkpoints, which may have minimum and maximum values of files, as JSON."""
    texts = [path for ending in (".json", ".crc") for path in _files(lake, table, ending, of_log=True)]
    lines = lake.spark.read.text(texts)
    if checkpoints := list(_files(lake, table, ".parquet", of_log=True)):
        rows = lake.spark.read.option("mergeSchema", "true").parquet(*checkpoints)
        lines = lines.union(rows.select(F.to_json(F.struct("*"))))
    return lines


def _theirs(lake: Lake, table: Table, files: list[str], subjects: Sequence[str]) -> int:
    columns = [field for field in spark_schema(table.schema) if field.name != table.partition]
    rows = lake.spark.read.schema(StructType(columns)).parquet(*files)
    if table is QUALITY_RESULTS:
        shown = rows.where(F.size("samples") > 0).select("samples").toLocalIterator()
        return sum(any(shows_one_of(sample, ever(subjects)) for sample in row["samples"]) for row in shown)
    return about(rows.withColumn("day", F.lit(None).cast("date")), PERSONAL[table], ever(subjects)).count()


def _files(lake: Lake, table: Table, ending: str, of_log: bool = False) -> Iterator[str]:
    """Every file below the table's folder with this ending, also unreferenced ones: of the log, or all others."""
    jvm = lake.spark.sparkContext._jvm
    folder = jvm.org.apache.hadoop.fs.Path(lake.path(table))
    system = folder.getFileSystem(lake.spark.sparkContext._jsc.hadoopConfiguration())
    listed = system.listFiles(folder, True)
    while listed.hasNext():
        path = str(listed.next().getPath().toString())
        name = path.rpartition("/")[2]
        if name.endswith(ending) and not name.startswith(".") and ("/_delta_log/" in path) == of_log:
            yield path
