"""How a task runs: Spark jobs through the Spark provider, everything else as a Python module of the project.

Local and cluster differ in Airflow's connection `spark_default` and in the Headrace settings only.
"""

from __future__ import annotations

import shlex
import sys
from datetime import timedelta
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import Asset

from headrace.events import EARLIEST_TIMESTAMP
from headrace.machine.spark_jars import java_options, spark_jars
from headrace.settings import PROJECT_ROOT, load_settings
from headrace.tables import SILVER_EVENTS

SETTINGS = load_settings()

CLEAN_EVENTS = Asset(f"{SILVER_EVENTS.layer}.{SILVER_EVENTS.name}")
"""Typed, deduplicated events. Each update carries its day as partition key."""

DAY_OF_INTERVAL = "{{ data_interval_start | ds }}"
"""Day of a run with a data interval of one day. By hand: the day that the logical date ends."""

LAST_DAY_OF_INTERVAL = "{{ macros.ds_add(data_interval_end | ds, -1) }}"
"""The last whole day of a run whose data interval is longer than a day."""

DAY_OF_UPDATE = "{{ partition_key or macros.ds_add((dag_run.logical_date or dag_run.run_after) | ds, -1) }}"
"""Day of a run that an update of `CLEAN_EVENTS` started: its partition key. By hand: as above."""

WAIT_MINUTES = "60"
"""A task waits so long for a run that holds the lock on what it writes, such as `maintenance`, before it fails."""

START = EARLIEST_TIMESTAMP
"""No day before this can be run: no event is older."""

DEFAULTS: dict[str, Any] = {
    "owner": "headrace",
    "retries": SETTINGS.airflow.retries,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=15),
}


def spark_jobs(task_id: str, jobs: str, *options: str, day: str, **task: Any) -> SparkSubmitOperator:
    """Jobs of `jobs.batch`, comma-separated, in one Spark application: each application costs about 16 s to start."""
    return SparkSubmitOperator(
        task_id=task_id,
        name=f"headrace-{task_id}",
        conn_id="spark_default",
        application=str(PROJECT_ROOT / "jobs" / "batch" / "__main__.py"),
        application_args=[jobs, "--day", day, "--wait", WAIT_MINUTES, *options],
        jars=",".join(str(jar) for jar in spark_jars(SETTINGS)),
        driver_memory=SETTINGS.spark.driver_memory,
        conf={"spark.driver.extraJavaOptions": java_options(SETTINGS)},
        **task,
    )


def python_module(task_id: str, command: str, *, day: str, **task: Any) -> BashOperator:
    """`python -m <command>` in the project's folder; the shell variable `$DAY` is the day of the run.

    The day is passed as a variable and not as text of the command, so that input from Airflow's trigger form is never
    run by the shell.
    """
    return BashOperator(
        task_id=task_id,
        bash_command=f"exec {shlex.quote(sys.executable)} -P -m {command}",
        env={"DAY": day},
        append_env=True,
        cwd=str(PROJECT_ROOT),
        **task,
    )
