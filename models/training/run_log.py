"""Adds files and metrics to the run of a release, over MLflow's REST API: its client takes seconds to import."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from headrace.errors import ServiceError
from headrace.release.registry import RELEASE_ID_TAG
from headrace.settings.engines import MlflowSettings

EVALUATION_FOLDER = "evaluation"
"""Folder of the evaluation among the artifacts of a release's run."""
_TIMEOUT_S = 10.0
_PROXIED = "mlflow-artifacts:/"


def add_to_run(settings: MlflowSettings, release_id: str, folder: Path, metrics: Mapping[str, float]) -> str | None:
    """Add the files of `folder` and the metrics to the newest run of a release; its id, or None if there is none.

    Raises ServiceError if the server is not reachable or its answer is unexpected.
    """
    if not settings.tracking_uri.startswith(("http://", "https://")):
        raise ServiceError(
            f"{settings.tracking_uri} is not an MLflow server", "Set its address in HEADRACE_MLFLOW__TRACKING_URI"
        )
    try:
        with httpx.Client(base_url=f"{settings.tracking_uri.rstrip('/')}/api/2.0/", timeout=_TIMEOUT_S) as client:
            run = _newest_run(client, settings.experiment, release_id)
            if run is None:
                return None
            now = int(time.time() * 1000)
            values = [{"key": key, "value": value, "timestamp": now, "step": 0} for key, value in metrics.items()]
            _post(client, "mlflow/runs/log-batch", {"run_id": run["run_id"], "metrics": values})
            _add_files(client, settings, run, folder)
    except httpx.HTTPError as error:
        raise ServiceError(
            f"MLflow at {settings.tracking_uri} gave an unexpected answer ({type(error).__name__})",
            "Start it with `headrace up`",
        ) from None
    return str(run["run_id"])


def _newest_run(client: httpx.Client, experiment: str, release_id: str) -> dict[str, Any] | None:
    answer = client.get("mlflow/experiments/get-by-name", params={"experiment_name": experiment})
    if answer.status_code == httpx.codes.NOT_FOUND:
        return None
    found = answer.raise_for_status().json()["experiment"]["experiment_id"]
    wanted = {"experiment_ids": [found], "filter": f"tags.{RELEASE_ID_TAG} = '{release_id}'", "max_results": 1}
    runs = _post(client, "mlflow/runs/search", wanted).get("runs", [])
    return runs[0]["info"] if runs else None


def _add_files(client: httpx.Client, settings: MlflowSettings, run: Mapping[str, Any], folder: Path) -> None:
    """Through the server where it proxies artifacts, else to the artifact location of the run."""
    location = str(run["artifact_uri"])
    if not location.startswith(_PROXIED):
        import mlflow

        mlflow.MlflowClient(settings.tracking_uri).log_artifacts(run["run_id"], str(folder), EVALUATION_FOLDER)
        return
    below = location.removeprefix(_PROXIED).lstrip("/")
    for file in sorted(folder.iterdir()):
        path = f"mlflow-artifacts/artifacts/{below}/{EVALUATION_FOLDER}/{file.name}"
        client.put(path, content=file.read_bytes()).raise_for_status()


def _post(client: httpx.Client, path: str, content: Mapping[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = client.post(path, json=content).raise_for_status().json()
    return answer
