"""A DAG that shows its day and then fails: for the tests of the runner."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, CronDataIntervalTimetable, chain

from dags.tasks import DAY_OF_INTERVAL, DAY_OF_UPDATE, START

with DAG("example", schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"), start_date=START, catchup=False):
    chain(
        BashOperator(
            task_id="shows_its_day",
            bash_command='echo "interval $INTERVAL update $UPDATE"',
            env={"INTERVAL": DAY_OF_INTERVAL, "UPDATE": DAY_OF_UPDATE},
        ),
        BashOperator(
            task_id="fails_twice",
            bash_command="echo trying; exit 3",
            retries=1,
            retry_delay=timedelta(seconds=1),
        ),
        BashOperator(task_id="never_runs", bash_command="echo unreachable"),
    )
