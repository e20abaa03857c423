"""Every Sunday at noon (UTC), away from the runs at midnight: maintenance of the lake."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable

from dags.tasks import DEFAULTS, LAST_DAY_OF_INTERVAL, START, spark_jobs

with DAG(
    "maintenance",
    description="Compact small files, remove old days and versions, for one week",
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
        doc_md="Compacts small files, removes what is past retention and users of forget requests.",
        execution_timeout=timedelta(hours=6),
    )
