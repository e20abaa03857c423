"""The demo's peak of memory: this process, what it starts, and what runs in the background of its home."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

from headrace.machine.run_records import RunRecord, run_folder, write_record
from infra.demo.memory import PeakMemory

HOLDS = "block = bytearray(b'x') * (200 * 2**20); print('ready', flush=True); import time; time.sleep(60)"


def test_children_and_parts_in_the_background_count_once(tmp_path: Path) -> None:
    run_folder(tmp_path).mkdir()
    peak = PeakMemory(tmp_path)
    peak.sample()
    alone = peak.bytes
    with subprocess.Popen([sys.executable, "-c", HOLDS], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        write_record(tmp_path, RunRecord("part", child.pid, psutil.Process(child.pid).create_time(), "", [], ""))
        peak.sample()
        child.kill()
    peak.sample()  # what has ended was held all the same
    assert alone > 0
    assert 190 < (peak.bytes - alone) / 2**20 < 300
