"""Every Sunday at noon (UTC), far from the runs of midnight: the lake is put in order."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable

from dags.tasks import DEFAULTS, LAST_DAY_OF_INTERVAL, START, spark_jobs

with DAG(
    "maintenance",
    description="Small files together, old days and versions away, for one week",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 12 * * 0", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["headrace", "batch"],
):
    spark_jobs(
        "maintain",
        "maintenance",
        day=LAST_DAY_OF_INTERVAL,
        doc_md="Puts small files together, removes what is no longer kept and people who asked to be forgotten.",
        execution_timeout=timedelta(hours=6),
    )
