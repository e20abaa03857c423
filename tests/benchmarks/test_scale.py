"""The scale benchmark's own measures: what is held back comes back, and memory counts children."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from benchmarks.scale import hold_back, measured
from headrace.settings import Settings
from jobs.batch.synthetic.event_rows import event_rows
from jobs.batch.synthetic.showing import Policy
from jobs.batch.synthetic.tastes import Tastes
from jobs.batch.synthetic.world import World
from tests.jobs.batch.worlds import DAY


def test_held_back_events_are_one_in_a_hundred_of_their_days_and_none_is_lost(tmp_path: Path) -> None:
    world = World(users=30, items=100, events=8_000, seed=3, end=DAY, days=4)
    rows = pa.Table.from_batches([event_rows(Policy(Tastes(world)), np.arange(world.visits))])
    events, late = tmp_path / "events", tmp_path / "late.parquet"
    events.mkdir()
    pq.write_table(rows, events / "part-0.parquet", row_group_size=3_000)
    days = [DAY - timedelta(days=2), DAY - timedelta(days=1)]
    moved, touched = hold_back(events, late, days)
    held, kept = pq.read_table(late), pq.read_table(events)
    assert held.num_rows == moved and 0.008 * touched < moved < 0.012 * touched and touched > 3_000
    assert set(pc.unique(held["timestamp"].cast(pa.date32())).to_pylist()) == set(days)
    assert len(set(held["event_type"].to_pylist())) > 3
    both = sorted([*held["event_id"].to_pylist(), *kept["event_id"].to_pylist()])
    assert both == sorted(rows["event_id"].to_pylist())


def test_the_peak_counts_what_a_child_of_the_process_holds(tmp_path: Path) -> None:
    child = "import time; held = b'x' * (200 << 20); time.sleep(1)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    cost = measured([sys.executable, "-c", parent], Settings(home=tmp_path))
    assert 200 < cost.peak_mib < 400 and cost.seconds > 1
    with pytest.raises(SystemExit, match="no such thing"):
        measured([sys.executable, "-c", "raise SystemExit('no such thing')"], Settings(home=tmp_path))
