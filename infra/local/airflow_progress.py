"""Reads the output of `airflow dags test` (one JSON object per line) and reports the progress of the run.

Each task gets a log file of its own; the console gets its start, what its command prints, its end and its seconds.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_START = re.compile(r"\[DAG TEST\] starting task_id=(\S+) ")
_END = re.compile(r"\[DAG TEST\] end task task_id=(\S+) ")
_ROUTES = "airflow.api_fastapi.execution_api.routes.task_instances"
_COMMAND_OUTPUT = ("airflow.task.hooks.", "task.stdout", "task.stderr")
_NOISE = re.compile(
    r"Tmp dir root location: |Running command: |Output:$|Command exited with return code |Spark-Submit cmd: "
    r"|Using Spark's default log4j|Setting Spark log level|WARNING: Using incubator modules"
    r"|\d\d/\d\d/\d\d \S+ (INFO|WARN NativeCodeLoader)"
)
"""Messages of operators and Spark around every command: in the log file, not on the console."""


@dataclass
class Attempt:
    """One attempt of one task."""

    task: str
    number: int
    started: float
    log: Path
    state: str = "failed"


@dataclass
class RunProgress:
    """State of the run, from its log lines. `logs` is the folder of the log files, `say` writes to the console."""

    logs: Path
    say: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    attempts: list[Attempt] = field(default_factory=list)
    _current: Attempt | None = None

    def read(self, line: str) -> None:
        """Process one line of output, JSON or plain."""
        entry = _parsed(line)
        event, logger = str(entry.get("event", "")), str(entry.get("logger", ""))
        if start := _START.match(event):
            self._start(start[1])
        self._write(entry)
        if logger.startswith(_COMMAND_OUTPUT) and self._current and not _NOISE.match(event):
            self.say(f"  {self._current.task} | {event}")
        if logger == _ROUTES and self._current:
            self._current.state = str(entry.get("new_state") or self._current.state)
            if event == "Task started":  # before the first task Airflow needs some seconds to start
                self._current.started = self.clock()
        if _END.match(event):
            self._end()

    @property
    def failed(self) -> Attempt | None:
        """The last attempt of a task that failed for good, if any did."""
        return next((attempt for attempt in reversed(self.attempts) if attempt.state == "failed"), None)

    def _start(self, task: str) -> None:
        number = 1 + sum(attempt.task == task for attempt in self.attempts)
        self._current = Attempt(task, number, self.clock(), self.logs / f"{task}.log")
        self.attempts.append(self._current)
        self.say(f"{task}: started" + (f" (attempt {number})" if number > 1 else ""))

    def _end(self) -> None:
        if (attempt := self._current) is None:
            return
        seconds = self.clock() - attempt.started
        state = "failed, will be retried" if attempt.state == "up_for_retry" else attempt.state
        self.say(f"{attempt.task}: {state} after {seconds:.1f} s")
        self._current = None

    def _write(self, entry: dict[str, Any]) -> None:
        """Append to the running task's log; lines of no task go to `airflow.log`."""
        log = self._current.log if self._current else self.logs / "airflow.log"
        text = f"{entry.get('timestamp', '')[:19]} {entry.get('level', '')} {entry.get('event', '')}".strip()
        with log.open("a") as file:
            print(text, file=file)
            for error in entry.get("exception") or []:
                print(f"  {error.get('exc_type')}: {error.get('exc_value')}", file=file)
                for frame in error.get("frames", []):
                    print(f"    {frame['filename']}:{frame['lineno']} in {frame['name']}", file=file)


def _parsed(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {"event": line}
    return entry if isinstance(entry, dict) else {"event": line}
