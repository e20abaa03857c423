"""All parts together: started at the same time, stopped in order, shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from headrace.errors import HeadraceError
from headrace.machine.run_records import RunRecord, read_records
from headrace.settings import Settings
from infra.local import kafka, mlflow, rooms, valkey
from infra.local.processes import stop


@dataclass(frozen=True)
class Part:
    """How a part is started, and how one sees that it answers."""

    start: Callable[[Settings], RunRecord]
    answers: Callable[[Settings], bool]


PARTS = {
    kafka.NAME: Part(kafka.start_kafka, kafka.answers),
    valkey.NAME: Part(valkey.start_valkey, valkey.answers),
    mlflow.NAME: Part(mlflow.start_mlflow, mlflow.answers),
    rooms.STREAM: Part(rooms.start_stream, rooms.stream_answers),
    rooms.SERVING: Part(rooms.start_serving, rooms.serving_answers),
}
FOUNDATION = (kafka.NAME, valkey.NAME, mlflow.NAME)
"""What everything else needs; `up` starts these unless others are named."""


@dataclass(frozen=True)
class PartStatus:
    """What `headrace status` says of one part."""

    name: str
    state: str
    """`up`, `down`, `silent` (runs, but does not answer), or `gone` (was started and ended by itself)."""
    pid: int | None
    address: str
    log: str


def up(
    settings: Settings,
    parts: Sequence[str] = FOUNDATION,
    report: Callable[[RunRecord], None] = lambda _: None,
) -> list[RunRecord]:
    """Start the parts side by side and wait until all are ready; those that run already are left alone.

    Raises HeadraceError with what each part that did not start says; the others stay up.
    """

    def start(name: str) -> RunRecord | HeadraceError:
        try:
            record = PARTS[name].start(settings)
        except HeadraceError as error:
            return error
        report(record)
        return record

    with ThreadPoolExecutor(len(PARTS)) as threads:
        outcomes = list(threads.map(start, parts))
    if errors := [outcome for outcome in outcomes if isinstance(outcome, HeadraceError)]:
        raise errors[0] if len(errors) == 1 else HeadraceError("\n".join(str(error) for error in errors))
    return [outcome for outcome in outcomes if isinstance(outcome, RunRecord)]


def down(settings: Settings) -> list[str]:
    """Stop everything that runs in this home; the names.

    Whatever uses the foundation (stream, service, …) is stopped before it, newest first; then its parts side by side.
    """
    home = settings.home_folder
    recorded = [record.name for record in reversed(read_records(home))]
    stopped = [name for name in recorded if name not in FOUNDATION and stop(name, home)]
    with ThreadPoolExecutor(len(PARTS)) as threads:
        names = [name for name in recorded if name in FOUNDATION]
        ended = list(threads.map(lambda name: stop(name, home), names))
    return stopped + [name for name, was_running in zip(names, ended, strict=True) if was_running]


def status(settings: Settings) -> list[PartStatus]:
    """One row for each part of the foundation and for everything else that was started in this home."""
    records = {record.name: record for record in read_records(settings.home_folder)}
    names = list(dict.fromkeys([*FOUNDATION, *records]))
    with ThreadPoolExecutor(len(names)) as threads:
        return list(threads.map(lambda name: _status(settings, name, records.get(name)), names))


def _status(settings: Settings, name: str, record: RunRecord | None) -> PartStatus:
    if record is None:
        return PartStatus(name, "down", None, "", "")
    if record.process() is None:
        return PartStatus(name, "gone", None, record.address, record.log)
    state = "up" if name not in PARTS or PARTS[name].answers(settings) else "silent"
    return PartStatus(name, state, record.pid, record.address, record.log)


@contextmanager
def local_services(settings: Settings, parts: Sequence[str] = FOUNDATION) -> Iterator[Settings]:
    """The parts, running for as long as the block; everything of this home is stopped at its end."""
    try:
        up(settings, parts)
        yield settings
    finally:
        down(settings)
