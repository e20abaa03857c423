"""No room on the disk, or a faster run elsewhere: one sentence, and the tables as their last commit left them."""

from __future__ import annotations

import argparse
import random
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from headrace.errors import HeadraceError
from headrace.settings import Settings
from headrace.tables import BRONZE_EVENTS, SILVER_BOTS
from jobs.batch.__main__ import run_jobs
from jobs.batch.engine.lake import Lake
from jobs.batch.engine.spark_errors import explain_spark_errors
from jobs.batch.ingest.files_job import Inputs, ingest_files
from tests.jobs.batch.worlds import AS_OF, DAY, collected, days_before, json_lines, purchase


@contextmanager
def room_for(lake: Lake, size: int) -> Iterator[None]:
    """The kernel refuses Spark's process any byte of a file beyond `size`, as it does when a disk is full."""
    pid = int(lake.spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid())
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_one_sentence_and_the_table_stays_as_it_was(
    lake: Lake, settings: Settings, tmp_path: Path
) -> None:
    small = json_lines(tmp_path / "small.jsonl", [purchase("e0", "u1", "i1", days_before(3))])
    ingest_files(lake, Inputs(events=[small]), AS_OF)
    before = collected(lake, BRONZE_EVENTS)
    rows = [purchase(f"e{n}", "u1", "i1", days_before(1), note=random.randbytes(300).hex()) for n in range(1, 401)]
    large = json_lines(tmp_path / "large.jsonl", rows)
    given = argparse.Namespace(
        day=DAY, events=[large], items=[], users=[], map=[], separator="", received_at=AS_OF, kafka=False
    )
    with room_for(lake, 40_000), pytest.raises(HeadraceError) as full:
        run_jobs(lake, ["ingest"], given, settings)
    assert str(full.value) == (
        f"job `ingest` ran out of disk space: File too large (the lake is at {lake.root}). Every table is as of its "
        "last commit: free space there and in Spark's scratch folder, then run this again"
    )
    assert collected(lake, BRONZE_EVENTS) == before
    run_jobs(lake, ["ingest"], given, settings)
    raw = {row["raw"] for row in collected(lake, BRONZE_EVENTS)}
    assert raw == {line for file in (small, large) for line in file.read_text().splitlines()}


def test_a_day_that_another_machine_wrote_meanwhile_is_said_with_its_table(lake: Lake, tmp_path: Path) -> None:
    """No lock of files holds between machines: what counts there is the table's own log."""
    started, go = tmp_path / "started", tmp_path / "go"

    def slowly(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        started.touch()
        while not go.exists():
            time.sleep(0.02)
        yield from batches

    # One task: the other one of the two that Spark runs at a time is for who is faster.
    machine = lake.spark.range(0, 1, 1, 1).select(
        F.lit("u1").alias("subject_id"), F.lit("too_many").alias("reason"), F.lit(9).alias("seen"), "id"
    )
    faster = machine.withColumnRenamed("id", "allowed")
    slower = machine.mapInArrow(slowly, machine.schema).withColumnRenamed("id", "allowed")
    lake.overwrite_day(faster, SILVER_BOTS, DAY)

    def write_slowly() -> None:
        with explain_spark_errors("clean", lake.root):
            lake.overwrite_day(slower, SILVER_BOTS, DAY)

    with ThreadPoolExecutor(1) as other_machine:
        writing = other_machine.submit(write_slowly)
        while not started.exists():
            time.sleep(0.02)
        lake.overwrite_day(faster.withColumn("seen", F.lit(10)), SILVER_BOTS, DAY)
        go.touch()
        with pytest.raises(HeadraceError, match=r"^another run committed to table silver\.bots while job `clean` was"):
            writing.result()
    assert [row["seen"] for row in collected(lake, SILVER_BOTS)] == [10]
