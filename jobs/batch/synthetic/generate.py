"""Job `generate`: a synthetic world as Parquet files that `headrace import` accepts, with a folder of ground truth.

    python -m jobs.batch.synthetic.generate --users 1000 --items 500 --events 100000 --seed 7 --end 2026-11-20 \
        --output world

Spark distributes row numbers over its workers; every row is a function of the seed and its number
(`jobs.batch.synthetic`) and is written there. No rows are collected, so the driver's memory does not depend on the
events.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from headrace.errors import BadInputError
from headrace.machine.last_resort import reporting_errors
from headrace.settings import load_settings
from jobs.batch.engine.session import spark_session
from jobs.batch.synthetic import catalogue_rows as catalogue
from jobs.batch.synthetic.draws import Ints
from jobs.batch.synthetic.event_rows import EVENT_SCHEMA, event_rows
from jobs.batch.synthetic.showing import Policy
from jobs.batch.synthetic.tastes import BIAS, EXAMINATION, FACTORS, SLOPE, Tastes
from jobs.batch.synthetic.world import EVENTS_PER_VISIT, World

Rows = Callable[[Policy, Ints], pa.RecordBatch]

EVENTS_PER_FILE = 1_000_000
ROWS_PER_FILE = 1_000_000
_EVENTS_PER_TASK = 100_000  # with fewer a task's start costs more than its work
_AT_ONCE = 4_000  # row numbers per batch: limits a worker's memory


def generated(spark: SparkSession, world: World, rows: Rows, schema: pa.Schema, count: int, parts: int) -> DataFrame:
    """The rows of the numbers 0 to `count` − 1; the result does not depend on the number of `parts`."""
    policy = Policy(Tastes(world))

    def make(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            numbers = batch.column(0).to_numpy()
            for first in range(0, len(numbers), _AT_ONCE):
                yield rows(policy, numbers[first : first + _AT_ONCE])

    return spark.range(0, count, 1, parts).mapInArrow(make, from_arrow_schema(schema))


def events(spark: SparkSession, world: World, parts: int) -> DataFrame:
    """All events, in the fields of the event contract."""
    return generated(spark, world, event_rows, EVENT_SCHEMA, world.visits, parts)


def write_world(spark: SparkSession, world: World, output: Path) -> None:
    """Write events, items, users and the ground truth below `output`; `world.json` is last and marks completion."""
    tables = (
        ("items", catalogue.item_rows, catalogue.ITEM_SCHEMA, world.items),
        ("users", catalogue.user_rows, catalogue.USER_SCHEMA, world.users),
        ("truth/items", catalogue.item_ground_truth, catalogue.ITEM_GROUND_TRUTH, world.items),
        ("truth/users", catalogue.user_ground_truth, catalogue.USER_GROUND_TRUTH, world.users),
    )
    for name, rows, schema, count in tables:
        made = generated(spark, world, rows, schema, count, -(-count // ROWS_PER_FILE))
        made.write.parquet(str(output / name))
    events(spark, world, event_parts(world, spark.sparkContext.defaultParallelism)).write.parquet(
        str(output / "events")
    )
    positions = pa.table({"position": range(len(EXAMINATION)), "examination": EXAMINATION})
    (output / "truth" / "positions").mkdir()
    pq.write_table(positions, output / "truth" / "positions" / "positions.parquet")
    (output / "world.json").write_text(json.dumps(_described(world), indent=1) + "\n", encoding="utf-8")


def require_new(output: Path) -> None:
    """Raise BadInputError where the folder is not empty."""
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise BadInputError(f"{output} is not empty", "Name another folder, or remove it first")


def event_parts(world: World, cores: int) -> int:
    """Number of event files: enough for all cores, none with more than EVENTS_PER_FILE."""
    most = -(-world.events // EVENTS_PER_FILE)
    return max(most, min(cores, -(-world.events // _EVENTS_PER_TASK)))


def _described(world: World) -> dict[str, object]:
    click = {"bias": BIAS, "slope": SLOPE, "factors": FACTORS}
    asked = {**asdict(world), "end": world.end.isoformat()}
    return {**asked, "start": f"{world.start:%Y-%m-%d}", "events_per_visit": EVENTS_PER_VISIT, "click": click}


def main(arguments: list[str] | None = None) -> int:
    """Generate one world; 0, or 1 with one line on stderr."""
    given = _parser().parse_args(arguments)
    return reporting_errors(lambda: _generate(given), "error: ")


def _generate(given: argparse.Namespace) -> None:
    started = time.perf_counter()
    world = World(given.users, given.items, given.events, given.seed, given.end, given.days)
    require_new(given.output)
    with spark_session("generate", load_settings()) as spark:
        write_world(spark, world, given.output)
    seconds = time.perf_counter() - started
    print(f"{given.output}: {world.events:,} events from {world.start:%Y-%m-%d} to {world.end} in {seconds:.1f} s")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m jobs.batch.synthetic.generate", description=__doc__.split("\n")[0])
    for name in ("users", "items", "events", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="a new folder")
    parser.add_argument("--days", type=int, default=365, help="length of the period (default 365)")
    parser.add_argument(
        "--end", type=date.fromisoformat, required=True, metavar="DAY", help="last day with events (UTC)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
