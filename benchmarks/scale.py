"""Scale: wall time and peak memory of the batch jobs over worlds of growing size, and what late events cost.

    python -m benchmarks.scale [--sizes 1000000 10000000] [--late-days 2] [--folder FOLDER]

For each size: generate, then ingest and clean, then the features of the last day, each in a process of its own. The
largest size is compared with the smallest, per event. One event in about a hundred of some past days is held back, and
arrives at the end: it is ingested and cleaned, and those days' features are computed again.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.report import report
from headrace.machine.subprocesses import child_environment, module_command
from headrace.settings import Settings

DAY = date(2026, 11, 20)
GOAL = 1.0
SEED = 7
HELD_BACK = 101
"""One event in so many is late; no divisor of a visit's length, so that all kinds of events are."""
_BEGINNING_S = 0.3
FIRST_LATE_DAY = DAY - timedelta(days=10)
STAGES = ("generate", "ingest,clean", "features")


@dataclass(frozen=True)
class Cost:
    """Cost of one process."""

    seconds: float
    peak_mib: float
    """Largest sum of resident memory of the process and its children; pages that they share count for each."""


@dataclass(frozen=True)
class Size:
    """Cost of one world."""

    events: int
    late_events: int
    touched_events: int
    """Events of the days that late events belong to."""
    costs: dict[str, Cost]
    late: dict[str, Cost]

    @property
    def seconds(self) -> float:
        """All stages together."""
        return sum(cost.seconds for cost in self.costs.values())

    @property
    def peak_mib(self) -> float:
        """The stage that needs most."""
        return max(cost.peak_mib for cost in self.costs.values())

    @property
    def late_share(self) -> float:
        """Seconds for the late events ÷ seconds of ingest, clean and features of one day from nothing."""
        full = self.costs["ingest,clean"].seconds + self.costs["features"].seconds
        return sum(cost.seconds for cost in self.late.values()) / full


def measured(command: Sequence[str], settings: Settings) -> Cost:
    """Run a process to its end. Raises SystemExit with its output where it fails."""
    started, peak = time.perf_counter(), 0
    with tempfile.TemporaryFile("w+") as output:
        child = psutil.Popen(command, env=child_environment(settings), stdout=output, stderr=subprocess.STDOUT)
        try:
            while child.poll() is None:
                peak = max(peak, _resident(child))
                time.sleep(0.1)
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()
        seconds = time.perf_counter() - started
        if child.returncode:
            output.seek(0)
            raise SystemExit(f"{' '.join(command)} failed:\n{output.read()[-4000:]}")
    return Cost(round(seconds, 1), round(peak / 2**20))


def hold_back(events: Path, late: Path, days: Sequence[date]) -> tuple[int, int]:
    """Move about one event in `HELD_BACK` of `days` from the files below `events` to the file `late`.

    Returns the number of events moved, and of all events of those days. Reads a row group at a time.
    """
    moved = touched = 0
    writer: pq.ParquetWriter | None = None
    for file in sorted(events.glob("*.parquet")):
        reader = pq.ParquetFile(file)
        kept_file = file.with_suffix(".kept")
        writer = writer or pq.ParquetWriter(late, reader.schema_arrow)
        with pq.ParquetWriter(kept_file, reader.schema_arrow) as kept:
            for rows in _row_groups(reader):
                touching = pc.is_in(rows["timestamp"].cast(pa.date32()), value_set=pa.array(days, pa.date32()))
                number = pc.replace_substring_regex(rows["event_id"], "^.*e", "").cast(pa.int64())
                chosen = pc.equal(pc.subtract(number, pc.multiply(pc.divide(number, HELD_BACK), HELD_BACK)), 0)
                is_late = pc.and_(touching, chosen)
                writer.write_table(rows.filter(is_late))
                kept.write_table(rows.filter(pc.invert(is_late)))
                moved, touched = moved + (pc.sum(is_late).as_py() or 0), touched + (pc.sum(touching).as_py() or 0)
        kept_file.replace(file)
        (file.parent / f".{file.name}.crc").unlink(missing_ok=True)  # Spark's checksum of the file before
    if writer:
        writer.close()
    return moved, touched


def run_size(events: int, folder: Path, late_days: int) -> Size:
    """Generate a world of `events` and take it through the jobs."""
    settings = Settings(home=folder / "home")
    world, late_file = folder / "world", folder / "late.parquet"
    counts = {"users": max(events // 100, 10), "items": max(events // 200, 100), "events": events, "seed": SEED}
    sizes = [f"--{name}={count}" for name, count in counts.items()]
    day = ("--day", DAY.isoformat())
    costs = {}

    def run(name: str, module: str, *arguments: str) -> Cost:
        cost = measured(module_command(module, *arguments), settings)
        print(f"{events:>13,} events  {name:<22}{cost.seconds:>9.1f} s{cost.peak_mib:>9,.0f} MiB", flush=True)
        return cost

    made = run("generate", "jobs.batch.synthetic.generate", *sizes, "--end", DAY.isoformat(), "--output", str(world))
    costs["generate"] = made
    days = [FIRST_LATE_DAY + timedelta(days=n) for n in range(late_days)]
    late_events, touched = hold_back(world / "events", late_file, days)
    files = [part for name in ("events", "items", "users") for part in (f"--{name}", str(world / name))]
    costs["ingest,clean"] = run("ingest,clean", "jobs.batch", "ingest,clean", *day, *files)
    costs["features"] = run("features", "jobs.batch", "features", *day)
    late = {"ingest,clean": run("late: ingest,clean", "jobs.batch", "ingest,clean", *day, "--events", str(late_file))}
    for each in days:
        late[f"features {each}"] = run(f"late: {each}", "jobs.batch", "features", "--day", each.isoformat())
    return Size(events, late_events, touched, costs, late)


def _row_groups(reader: pq.ParquetFile) -> Iterator[pa.Table]:
    for number in range(reader.num_row_groups):
        yield reader.read_row_group(number)


def _resident(process: psutil.Process) -> int:
    """Bytes of the process and its children, without those that only begin: they still show their parent's memory.

    Java starts a program for many a file that it writes; counted, each would double Java's heap for a moment.
    """
    total, now = 0, time.time()
    with suppress(psutil.NoSuchProcess):
        total = process.memory_info().rss
        for child in process.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if now - child.create_time() > _BEGINNING_S:
                    total += child.memory_info().rss
    return total


def main() -> None:
    """Measure every size, compare the largest with the smallest, report."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended, and the folders go
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000_000, 10_000_000], metavar="EVENTS")
    parser.add_argument("--late-days", type=int, default=2, help="past days with late events (default 2)")
    parser.add_argument("--folder", type=Path, help="where the worlds go while it runs (default: the system's)")
    given = parser.parse_args()
    done = []
    for events in sorted(set(given.sizes)):
        folder = Path(tempfile.mkdtemp(prefix="headrace-scale-", dir=given.folder))
        try:
            done.append(run_size(events, folder, given.late_days))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    _report(done)


def _report(done: list[Size]) -> None:
    small, large = done[0], done[-1]
    growth = {
        "seconds": _per_event(large.seconds, large) / _per_event(small.seconds, small),
        "peak_memory": _per_event(large.peak_mib, large) / _per_event(small.peak_mib, small),
    }
    for stage in STAGES:
        one, other = large.costs[stage], small.costs[stage]
        growth[f"seconds of {stage}"] = _per_event(one.seconds, large) / _per_event(other.seconds, small)
    for size in done:
        touched = size.touched_events / size.events
        print(
            f"{size.events:>13,} events: {1e6 * size.seconds / size.events:.1f} µs an event, at most"
            f" {size.peak_mib:,.0f} MiB; late events: {size.late_share:.0%} of a full run,"
            f" their days hold {touched:.1%} of the events"
        )
    ratio = max(growth["seconds"], growth["peak_memory"])
    report(
        name="scale",
        ours=round(1e6 * large.seconds / large.events, 2),
        peer=round(1e6 * small.seconds / small.events, 2),
        peer_name=f"the same at {small.events:,} events instead of {large.events:,}",
        ratio=ratio,
        goal=f"microseconds and memory per event grow by at most {GOAL:g} x",
        met=ratio <= GOAL,
        growth_per_event={name: round(value, 3) for name, value in growth.items()},
        sizes=[_described(size) for size in done],
    )


def _described(size: Size) -> dict[str, Any]:
    return {**asdict(size), "late_share_of_full_run": round(size.late_share, 3)}


def _per_event(amount: float, size: Size) -> float:
    return amount / size.events


if __name__ == "__main__":
    main()
