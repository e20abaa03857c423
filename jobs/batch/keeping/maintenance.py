"""Job `maintenance`: drops old days, compacts small files, removes versions past retention.

It moves and removes rows, but never adds any: no job mistakes its commits for new rows. Notes in the tables' commits
are kept, and training sets can be built again as long as their versions are kept.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta

from delta.tables import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from headrace.settings import Settings
from headrace.settings.jobs import MaintenanceSettings
from headrace.tables import GOLD_ITEM_CONTENT, TABLES, Table
from jobs.batch.engine.lake import NOTES_KEPT, Lake

WHOLE_LAYERS = ("gold",)
"""Layers whose days are written whole, in as many files as they should have."""
LASTING = (GOLD_ITEM_CONTENT,)
"""Tables in which a day is valid until a later one is written, however old it is."""
_LARGE_FILE = 256 * 2**20


@dataclass(frozen=True)
class Maintained:
    """Result of one run."""

    days: int
    """Days dropped, over all tables."""
    small_files: int
    """Files before compaction…"""
    files: int
    """…and after."""


def maintain(lake: Lake, settings: Settings, day: date) -> Maintained:
    """Apply `settings.maintenance` to all tables, report pages and training files; ages count back from `day`."""
    keep = settings.maintenance
    days = small = large = 0
    for table in filter(lake.exists, TABLES):
        _set_properties(lake, table, keep)
        days += _drop_days(lake, table, day, _days_kept(keep, table))
        before, after = (0, 0) if table.layer in WHOLE_LAYERS else _compact(lake, table)
        small, large = small + before, large + after
        vacuum(lake, table)
    _drop_files(settings, day)
    return Maintained(days, small, large)


def vacuum(lake: Lake, table: Table, at_once: bool = False) -> None:
    """Remove the files of versions past the table's retention, and those of interrupted runs.

    With `at_once` all but those of the newest version.
    """
    few = {
        "spark.databricks.delta.retentionDurationCheck.enabled": "false",
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": lake.spark.conf.get("spark.sql.shuffle.partitions"),
    }
    with _temporary_conf(lake.spark, few):
        DeltaTable.forPath(lake.spark, lake.path(table)).vacuum(*([0] if at_once else []))


def _set_properties(lake: Lake, table: Table, keep: MaintenanceSettings) -> None:
    """The table's own properties, also where it is older than these settings."""
    wanted = {
        "delta.logRetentionDuration": NOTES_KEPT,
        "delta.deletedFileRetentionDuration": f"interval {keep.versions_days} days",
    }
    known = DeltaTable.forPath(lake.spark, lake.path(table)).detail().head()["properties"]
    changed = ", ".join(f"'{name}' = '{value}'" for name, value in wanted.items() if known.get(name) != value)
    if changed:
        lake.spark.sql(f"ALTER TABLE delta.`{lake.path(table)}` SET TBLPROPERTIES ({changed})")


def _days_kept(keep: MaintenanceSettings, table: Table) -> int:
    """0 = all."""
    if table.partition is None or table in LASTING:
        return 0
    return {"bronze": keep.bronze_days, "gold": keep.gold_days, "quality": keep.quality_days}.get(table.layer, 0)


def _drop_days(lake: Lake, table: Table, day: date, kept: int) -> int:
    """Whole partitions, so that no file is rewritten."""
    if not kept:
        return 0
    old = F.col("day") <= F.lit(day - timedelta(days=kept))
    days = lake.read(table).where(old).select("day").distinct().count()
    if days:
        DeltaTable.forPath(lake.spark, lake.path(table)).delete(old)
    return days


def _compact(lake: Lake, table: Table) -> tuple[int, int]:
    """Compact the files of each day; returns the number of removed and of added files."""
    with _temporary_conf(lake.spark, {"spark.databricks.delta.optimize.maxFileSize": str(_LARGE_FILE)}):
        metrics = DeltaTable.forPath(lake.spark, lake.path(table)).optimize().executeCompaction().head()["metrics"]
    return int(metrics["numFilesRemoved"]), int(metrics["numFilesAdded"])


def _drop_files(settings: Settings, day: date) -> None:
    keep = settings.maintenance
    for folder, pattern, kept in (
        (settings.training_folder, "????-??-??", keep.training_days),
        (settings.reports / "quality", "????-??-??.html", keep.quality_days),
    ):
        oldest = (day - timedelta(days=kept)).isoformat()
        for path in folder.glob(pattern) if kept else ():
            if path.name[:10] <= oldest:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def _temporary_conf(spark: SparkSession, conf: dict[str, str]) -> Iterator[None]:
    before = {name: spark.conf.get(name, None) for name in conf}
    for name, value in conf.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, known in before.items():
            spark.conf.unset(name) if known is None else spark.conf.set(name, known)
