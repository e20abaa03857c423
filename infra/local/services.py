"""All services: started concurrently, stopped in order, listed."""

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
class Service:
    """How a service is started, and how it is checked."""

    start: Callable[[Settings], RunRecord]
    answers: Callable[[Settings], bool]


SERVICES = {
    kafka.NAME: Service(kafka.start_kafka, kafka.answers),
    valkey.NAME: Service(valkey.start_valkey, valkey.answers),
    mlflow.NAME: Service(mlflow.start_mlflow, mlflow.answers),
    rooms.STREAM: Service(rooms.start_stream, rooms.stream_answers),
    rooms.SERVING: Service(rooms.start_serving, rooms.serving_answers),
}
FOUNDATION = (kafka.NAME, valkey.NAME, mlflow.NAME)
"""Services that the others need; `up` starts these unless others are given."""


@dataclass(frozen=True)
class ServiceStatus:
    """Status of one service in `headrace status`."""

    name: str
    state: str
    """`up`, `down`, `silent` (runs, but is not reachable), or `gone` (was started and ended by itself)."""
    pid: int | None
    address: str
    log: str


def up(
    settings: Settings,
    names: Sequence[str] = FOUNDATION,
    report: Callable[[RunRecord], None] = lambda _: None,
) -> list[RunRecord]:
    """Start the services concurrently and wait until all are ready; those that already run are unchanged.

    Raises HeadraceError with the error of each service that did not start; the others keep running.
    """

    def start(name: str) -> RunRecord | HeadraceError:
        try:
            record = SERVICES[name].start(settings)
        except HeadraceError as error:
            return error
        report(record)
        return record

    with ThreadPoolExecutor(len(SERVICES)) as threads:
        outcomes = list(threads.map(start, names))
    if errors := [outcome for outcome in outcomes if isinstance(outcome, HeadraceError)]:
        raise errors[0] if len(errors) == 1 else HeadraceError("\n".join(str(error) for error in errors))
    return [outcome for outcome in outcomes if isinstance(outcome, RunRecord)]


def down(settings: Settings) -> list[str]:
    """Stop all services of this home; returns their names.

    Users of the foundation (stream, serving, …) are stopped first, newest first; then the foundation, concurrently.
    """
    home = settings.home_folder
    recorded = [record.name for record in reversed(read_records(home))]
    stopped = [name for name in recorded if name not in FOUNDATION and stop(name, home)]
    with ThreadPoolExecutor(len(SERVICES)) as threads:
        names = [name for name in recorded if name in FOUNDATION]
        ended = list(threads.map(lambda name: stop(name, home), names))
    return stopped + [name for name, was_running in zip(names, ended, strict=True) if was_running]


def status(settings: Settings) -> list[ServiceStatus]:
    """One row for each service of the foundation and for all others that were started in this home."""
    records = {record.name: record for record in read_records(settings.home_folder)}
    names = list(dict.fromkeys([*FOUNDATION, *records]))
    with ThreadPoolExecutor(len(names)) as threads:
        return list(threads.map(lambda name: _status(settings, name, records.get(name)), names))


def _status(settings: Settings, name: str, record: RunRecord | None) -> ServiceStatus:
    if record is None:
        return ServiceStatus(name, "down", None, "", "")
    if record.process() is None:
        return ServiceStatus(name, "gone", None, record.address, record.log)
    state = "up" if name not in SERVICES or SERVICES[name].answers(settings) else "silent"
    return ServiceStatus(name, state, record.pid, record.address, record.log)


@contextmanager
def local_services(settings: Settings, names: Sequence[str] = FOUNDATION) -> Iterator[Settings]:
    """The services, running for the block; all services of this home are stopped at its end."""
    try:
        up(settings, names)
        yield settings
    finally:
        down(settings)
