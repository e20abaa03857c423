"""Fixtures shared by all tests: the real broker, store and registry, started once on free ports."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from headrace.settings import Settings

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # child processes import engines: without bytecode five times slower
os.environ["HEADRACE_TRACES"] = "stderr"  # the report of a test that failed shows why


def pytest_configure() -> None:
    """SIGTERM ends a run as Ctrl-C does, what it started included."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(_signal: int, _frame: object) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):  # a second one must not end the cleaning up
        signal.signal(number, signal.SIG_IGN)
    for child in psutil.Process().children():  # workers, and the jobs that their tests wait for
        child.terminate()
    raise KeyboardInterrupt


LONGEST = ("tests/end_to_end/", "tests/docs/test_tutorial.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: two workers share the files out in this order, and neither ends long after the other."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on, from the system."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def settings_on_free_ports(home: Path) -> Settings:
    """Settings of a platform of its own in `home`."""
    kafka, store, mlflow, serving, airflow = free_ports(5)
    return Settings(
        home=home,
        kafka={"bootstrap_servers": f"127.0.0.1:{kafka}", "partitions": 2},
        store={"url": f"redis://127.0.0.1:{store}/0", "timeout_ms": 500},
        mlflow={"tracking_uri": f"http://127.0.0.1:{mlflow}"},
        serving={"port": serving},
        airflow={"port": airflow, "retries": 0},
    )


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a running Kafka, Valkey and MLflow in a folder of their own; stopped by process id at the end."""
    from infra.local.services import local_services

    with local_services(settings_on_free_ports(tmp_path_factory.mktemp("services"))) as settings:
        yield settings
