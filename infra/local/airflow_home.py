"""A separate Airflow for one machine: database, logs and secrets in `<home>/airflow`, all servers on loopback.

All configuration is environment variables; another Airflow of the user is neither read nor changed.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from headrace.errors import ServiceError
from headrace.machine.subprocesses import child_environment, module_command
from headrace.settings import PROJECT_ROOT, Settings

DAGS = PROJECT_ROOT / "dags"
DATABASE = "airflow.db"
DATABASE_BESIDE_WEB = "airflow-beside-web.db"
"""Database of a run in the foreground while the scheduler of `make airflow` uses the other one: it would start the
same tasks again."""


def airflow_home(settings: Settings) -> Path:
    """Folder of the embedded Airflow."""
    return settings.home_folder / "airflow"


def command(*arguments: str) -> list[str]:
    """An `airflow` command line of this interpreter."""
    return module_command("airflow", *arguments)


def environment(settings: Settings, dags: Path = DAGS, database: str = DATABASE) -> dict[str, str]:
    """Environment of an Airflow process and its tasks: these settings, this interpreter, this home."""
    home = airflow_home(settings)
    address = f"http://127.0.0.1:{settings.airflow.port}"
    connection = json.dumps({"conn_type": "spark", "host": settings.spark.master})
    return {
        "AIRFLOW_CONN_SPARK_DEFAULT": connection,  # as JSON: read as an address, `local[2]` would become YARN
        **child_environment(settings),
        # Absolute, because tasks run in other folders than this process.
        "HEADRACE_HOME": str(settings.home_folder),
        "HEADRACE_LAKE": settings.lake_root,
        "HEADRACE_JARS": str(settings.jars.resolve()),
        # The first `spark-submit` and `python` in the path are those of this environment.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONUNBUFFERED": "1",
        **({"SPARK_LOCAL_IP": "127.0.0.1"} if settings.spark.master.startswith("local") else {}),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / database}",
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags.resolve()),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(settings.airflow.port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
    }


@contextmanager
def for_a_run(settings: Settings) -> Iterator[str]:
    """Name of the database for a run in the foreground; any number of runs share it."""
    with _lock(settings, fcntl.LOCK_SH) as shared:
        yield DATABASE if shared else DATABASE_BESIDE_WEB


@contextmanager
def for_the_scheduler(settings: Settings) -> Iterator[str]:
    """Name of the database for a scheduler, which needs exclusive access. Raises ServiceError while it is in use."""
    with _lock(settings, fcntl.LOCK_EX) as alone:
        if not alone:
            raise ServiceError(
                f"the Airflow in {airflow_home(settings)} is in use", "Wait for `headrace run`, or stop `make airflow`"
            )
        yield DATABASE


@contextmanager
def _lock(settings: Settings, kind: int) -> Iterator[bool]:
    """Create the home, readable by its owner only, and hold its lock; yields whether it was acquired."""
    home = airflow_home(settings)
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def prepare(settings: Settings, database: str) -> None:
    """Create the database, or migrate it to the installed version; does nothing if it is up to date.

    On first use Airflow also writes its keys (Fernet, JWT, sessions) into `airflow.cfg` in its home.
    Raises ServiceError if Airflow cannot create its database.
    """
    home = airflow_home(settings)
    migrated, installed = home / f"{database}.version", version("apache-airflow")
    if migrated.is_file() and migrated.read_text() == installed:
        return
    print(f"Airflow {installed}: creating its database in {home}", flush=True)
    result = subprocess.run(
        command("db", "migrate"),
        env=environment(settings, database=database),
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        log = home / "migrate.log"
        log.write_text(result.stdout + result.stderr)
        raise ServiceError("Airflow could not create its database", f"See {log}")
    migrated.write_text(installed)
