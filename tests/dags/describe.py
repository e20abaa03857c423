"""Prints, as JSON, what Airflow makes of a folder of DAGs. A process of its own: Airflow reads its home on import.

python describe.py FOLDER DAY
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.serialization.encoders import coerce_to_core_timetable

from headrace.settings import PROJECT_ROOT, load_settings

ENGINES = {"pyspark", "pyflink", "tensorflow", "mlflow", "deltalake", "feast", "scann", "onnxruntime"}


def main(folder: Path, day: str) -> None:
    bag = DagBag(str(folder))
    midnight = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)
    answer = {
        "errors": bag.import_errors,
        "engines": sorted(ENGINES & set(sys.modules)),
        "dags": {dag.dag_id: _dag(dag) for dag in bag.dags.values()},
        "intervals": {dag.dag_id: _interval(dag, midnight) for dag in bag.dags.values()},
    }
    print(json.dumps(answer))


def _dag(dag: Any) -> dict[str, Any]:
    timetable = coerce_to_core_timetable(dag.timetable)
    return {
        "description": dag.description,
        "schedule": {type(timetable).__name__: timetable.serialize()},
        "catchup": dag.catchup,
        "start_date": dag.start_date.isoformat(),
        "max_active_runs": dag.max_active_runs,
        "tags": sorted(dag.tags),
        "tasks": {task.task_id: _task(task) for task in dag.topological_sort()},
    }


def _task(task: Any) -> dict[str, Any]:
    if isinstance(task, SparkSubmitOperator):
        command = [task.application, *task.application_args]
        how = {"connection": task._conn_id, "driver_memory": task._driver_memory}
    else:
        command, how = [task.bash_command], {"day": task.env["DAY"], "folder": _plain(task.cwd)}
    return {
        "operator": type(task).__name__,
        "command": [_plain(part) for part in command],
        **how,
        "doc": task.doc_md,
        "owner": task.owner,
        "retries": task.retries,
        "retry_delay_seconds": task.retry_delay.total_seconds(),
        "exponential_backoff": bool(task.retry_exponential_backoff),
        "timeout_seconds": task.execution_timeout.total_seconds(),
        "then": sorted(task.downstream_task_ids),
        "updates": [asset.name for asset in task.outlets],
    }


def _interval(dag: Any, logical_date: datetime) -> list[str]:
    interval = coerce_to_core_timetable(dag.timetable).infer_manual_data_interval(run_after=logical_date)
    return [interval.start.isoformat(), interval.end.isoformat()]


def _plain(text: str) -> str:
    """Without the places of this machine."""
    places = {str(load_settings().home_folder): "<home>", sys.executable: "<python>", str(PROJECT_ROOT): "<project>"}
    for place, name in places.items():
        text = text.replace(place, name)
    return text


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
