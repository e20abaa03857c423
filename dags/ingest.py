"""Every midnight (UTC): what Kafka received → bronze → clean events of the day that ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable

from dags.tasks import CLEAN_EVENTS, DAY_OF_INTERVAL, DEFAULTS, START, spark_jobs


def name_the_day(context: Any, _result: Any) -> None:
    """Stamp the update of the asset with its day, so that `daily` starts once for each day, also in a backfill."""
    context["outlet_events"][CLEAN_EVENTS].add_partitions(context["data_interval_start"].date().isoformat())


with DAG(
    "ingest",
    description="Kafka → bronze → silver, for one day",
    doc_md=__doc__,
    # Explicit: a plain "@daily" has an empty interval in Airflow 3, start = end.
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["headrace", "batch"],
):
    spark_jobs(
        "ingest_and_clean",
        "ingest,clean,quality",
        "--kafka",
        day=DAY_OF_INTERVAL,
        doc_md="Imports new events from Kafka into bronze and silver, quarantines bad ones, and checks the tables.",
        execution_timeout=timedelta(hours=2),
        outlets=[CLEAN_EVENTS],
        post_execute=name_the_day,
    )
