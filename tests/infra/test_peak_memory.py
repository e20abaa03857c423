"""The demo's peak of memory: this process, what it starts, and what runs in the background of its home."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MIB = 2**20
HOLDS = f"block = bytearray(b'x') * {200 * MIB}; print('ready', flush=True); input()"
# In a process of its own: what earlier tests left in this one may be freed at any moment.
MEASURES = """
import subprocess, sys
from pathlib import Path
import psutil
from headrace.machine.run_records import RunRecord, run_folder, write_record
from infra.demo.memory import PeakMemory

home, holds = Path(sys.argv[1]), sys.argv[2]
run_folder(home).mkdir()
peak = PeakMemory(home)
peak.sample()
print(peak.bytes)
with subprocess.Popen([sys.executable, "-c", holds], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
    child.stdout.readline()
    write_record(home, RunRecord("part", child.pid, psutil.Process(child.pid).create_time(), "", [], ""))
    peak.sample()
peak.sample()
print(peak.bytes)
"""


def test_children_and_parts_in_the_background_count_once_and_stay_counted(tmp_path: Path) -> None:
    measured = subprocess.run(
        [sys.executable, "-c", MEASURES, str(tmp_path), HOLDS], capture_output=True, text=True, check=True
    )
    alone, peak = map(int, measured.stdout.split())
    assert alone > 0
    assert (peak - alone) / MIB == pytest.approx(205, abs=15)
