"""The one form in which every benchmark reports: a JSON object as the last line, and the same in `results/`."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headrace.settings import PROJECT_ROOT

RESULTS = Path(__file__).resolve().parent / "results"


def in_turns(
    rounds: int, ours: Callable[[], float], peer: Callable[[], float], unit: str
) -> tuple[list[float], list[float]]:
    """Run both, one after the other, so many times; what each returned, in `unit`, and a line for each round."""
    measured: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for side, run in zip(measured, (ours, peer), strict=True):
            side.append(round(run(), 2))
        print(f"ours {measured[0][-1]:,.1f}, peer {measured[1][-1]:,.1f} {unit}", flush=True)
    return measured


def peak_mib() -> int:
    """The most memory that this process ever had, in MiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)


def last_line(module: str, *arguments: str) -> Any:
    """The last line of a process's output. Raises SystemExit with its errors where it fails."""
    command = [sys.executable, "-m", module, *arguments]  # from the project's root, where benchmarks are found
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT_ROOT)
    if done.returncode:
        raise SystemExit(f"{module} {' '.join(arguments)} failed:\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def report(
    *, name: str, ours: float, peer: float, peer_name: str, ratio: float, goal: str, met: bool, **details: Any
) -> None:
    """Write `results/<name>.json` (with the machine and the time) and print the summary as the last line.

    `ours` and `peer` are in the unit that `goal` names; `details` go to the file only.
    """
    summary = {
        "name": name,
        "ours": ours,
        "peer": peer,
        "peer_name": peer_name,
        "ratio": round(ratio, 3),
        "goal": goal,
        "met": met,
    }
    machine = {
        "cores": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }
    measured_at = datetime.now(UTC).isoformat(timespec="seconds")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(
        json.dumps({**summary, **details, "machine": machine, "measured_at": measured_at}, indent=1) + "\n",
        encoding="utf-8",
    )
    print(json.dumps(summary), flush=True)
