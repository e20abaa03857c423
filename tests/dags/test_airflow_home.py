"""Who may use the embedded Airflow at the same time."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from headrace.errors import ServiceError
from infra.local.airflow_home import for_a_run, for_the_scheduler
from infra.local.airflow_web import web
from tests.conftest import settings_on_free_ports


def test_run_beside_the_scheduler_gets_a_database_of_its_own(tmp_path: Path) -> None:
    settings = settings_on_free_ports(tmp_path)
    with for_the_scheduler(settings) as of_scheduler, for_a_run(settings) as of_run:
        assert of_run != of_scheduler
    with for_a_run(settings) as alone, for_a_run(settings) as second:
        assert alone == second == of_scheduler


def test_scheduler_does_not_start_during_a_run(tmp_path: Path) -> None:
    settings = settings_on_free_ports(tmp_path)
    with for_a_run(settings), pytest.raises(ServiceError, match="is in use"), for_the_scheduler(settings):
        pass


def test_port_in_use_is_named_before_anything_starts(tmp_path: Path) -> None:
    settings = settings_on_free_ports(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", settings.airflow.port))
        other.listen()
        with pytest.raises(ServiceError, match=f"port {settings.airflow.port} is in use"):
            web(settings)
    assert not list(tmp_path.rglob("*.db"))
