"""Every DAG beside its snapshot, and what must hold for all. `UPDATE_SNAPSHOTS=1 pytest tests/dags` writes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headrace.settings.engines import AirflowSettings
from infra.local.airflow_home import DAGS, airflow_home, environment
from tests.conftest import settings_on_free_ports

HERE = Path(__file__).parent
DAG_IDS = ("ingest", "daily", "maintenance")


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow makes of the project's DAGs, told by a process of its own."""
    settings = settings_on_free_ports(tmp_path_factory.mktemp("airflow"))
    settings = settings.model_copy(update={"airflow": AirflowSettings()})  # with the retries of every day
    airflow_home(settings).mkdir(parents=True)
    answer = subprocess.run(
        [sys.executable, str(HERE / "describe.py"), str(DAGS), "2026-11-22"],
        env=environment(settings),
        capture_output=True,
        text=True,
        check=True,
    )
    described: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return described


def test_every_dag_is_imported_without_an_error(described: dict[str, Any]) -> None:
    assert described["errors"] == {}
    assert set(described["dags"]) == set(DAG_IDS)


def test_importing_the_dags_imports_no_engine(described: dict[str, Any]) -> None:
    assert described["engines"] == []


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_dag_equals_its_snapshot(dag_id: str, described: dict[str, Any]) -> None:
    snapshot = HERE / f"{dag_id}.json"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        snapshot.write_text(json.dumps(described["dags"][dag_id], indent=2, ensure_ascii=False) + "\n")
    assert described["dags"][dag_id] == json.loads(snapshot.read_text())


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_every_task_is_explained_in_one_line_and_tried_again_within_a_limit(
    dag_id: str, described: dict[str, Any]
) -> None:
    for name, task in described["dags"][dag_id]["tasks"].items():
        assert task["doc"].endswith(".")
        assert "\n" not in task["doc"]
        assert task["retries"] == (0 if name == "build_release" else 2)
        assert task["exponential_backoff"]
        assert task["timeout_seconds"] > 0


def test_interval_of_ingest_is_the_whole_day_that_its_logical_date_ends(described: dict[str, Any]) -> None:
    assert described["intervals"]["ingest"] == ["2026-11-22T00:00:00+00:00", "2026-11-23T00:00:00+00:00"]


def test_interval_of_maintenance_is_the_week_before_its_noon(described: dict[str, Any]) -> None:
    assert described["intervals"]["maintenance"] == ["2026-11-15T12:00:00+00:00", "2026-11-22T12:00:00+00:00"]
