"""Experiment tracking and the model registry: runs of a training, versions of the release, the alias that goes live."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from headrace.errors import ServiceError
from headrace.release.bundle import Release
from headrace.release.registry import ARTIFACT_FOLDER, RELEASE_ID_TAG
from headrace.settings.engines import MlflowSettings
from models.release.provenance import environment

CHAMPION = "champion"
CHALLENGER = "challenger"
"""Alias of the newest version that passed every check and is better than the champion on none."""
ANCHOR = "anchor"
"""Alias of the release whose quality no later champion may lose: the first one, until another is shown to be better or
a person decides."""
_TIMEOUT_S = 5.0
_CURVE_POINTS = 100
_REPLACED_TAG = "replaced"
_NO_SUCH_ALIAS = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""Error codes of the registry for a model or an alias that does not exist."""


@dataclass(frozen=True)
class TrainingRecord:
    """One training of a release."""

    name: str
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    curves: Mapping[str, list[float]]
    """Metrics by step."""


@dataclass(frozen=True)
class Version:
    """One registered version of the model, which is one release."""

    number: str
    release_id: str
    run_id: str
    replaced: str | None
    """Number of the version that it replaced as champion."""
    refusal: str
    """Why a gate refused it; empty if none did."""


class Registry:
    """The tracking server of the settings."""

    def __init__(self, settings: MlflowSettings) -> None:
        """Raises ServiceError if the server is not reachable."""
        self._settings = settings
        _require_answer(settings.tracking_uri)
        # An unreachable server is detected by the check above; MLflow's own retries would take minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        import mlflow

        for noisy in ("mlflow", "urllib3"):  # a registry that is away is told once, not at each of its clients' tries
            logging.getLogger(noisy).setLevel(logging.ERROR)
        mlflow.set_tracking_uri(settings.tracking_uri)
        self._mlflow = mlflow
        self._client = mlflow.MlflowClient(settings.tracking_uri)

    def log_release(
        self,
        release: Release,
        records: list[TrainingRecord],
        tags: Mapping[str, str],
        beside: Mapping[str, Path] | None = None,
    ) -> str:
        """Log one run with the bundle and a nested run per training; returns the version it was registered as.

        `beside` are folders to store with the run, by their name there. The same bundle logged twice becomes two
        versions: the registry is a history.
        """
        manifest = release.manifest
        self._mlflow.set_experiment(self._settings.experiment)
        with self._mlflow.start_run(run_name=release.release_id) as run:
            self._mlflow.set_tags(
                {
                    RELEASE_ID_TAG: release.release_id,
                    "as_of": manifest.as_of.isoformat(),
                    "code_version": manifest.code_version,
                    "content_hash": manifest.content_hash,
                    **tags,
                }
            )
            self._mlflow.log_params(_named("table", manifest.tables))
            self._mlflow.log_params({"seed": manifest.seed, **_named("environment", environment())})
            for record in records:
                self._mlflow.log_metrics({f"{record.name}.{key}": value for key, value in record.metrics.items()})
                with self._mlflow.start_run(run_name=record.name, nested=True) as training:
                    self._log(training.info.run_id, record)
            for name, folder in {ARTIFACT_FOLDER: release.folder, **(beside or {})}.items():
                self._mlflow.log_artifacts(str(folder), name)
            return self._register(release, run.info.run_id, f"{run.info.artifact_uri}/{ARTIFACT_FOLDER}", tags)

    def log_run(
        self, name: str, parameters: Mapping[str, Any], metrics: Mapping[str, float], tags: Mapping[str, str]
    ) -> str:
        """A run of its own in the experiment; its id."""
        self._mlflow.set_experiment(self._settings.experiment)
        with self._mlflow.start_run(run_name=name, tags=dict(tags)) as run:
            self._mlflow.log_params(dict(parameters))
            self._mlflow.log_metrics(dict(metrics))
            return str(run.info.run_id)

    def champion(self) -> Version | None:
        """The version that is live."""
        return self._named(CHAMPION)

    def anchor(self) -> Version | None:
        """The version that the decline of many small steps is measured from."""
        return self._named(ANCHOR)

    def _named(self, alias: str) -> Version | None:
        from mlflow.exceptions import MlflowException

        try:
            return _version(self._client.get_model_version_by_alias(self._settings.model_name, alias))
        except MlflowException as error:
            if error.error_code not in _NO_SUCH_ALIAS:
                raise
            return None

    def version(self, number: str) -> Version:
        """The version of that number."""
        return _version(self._client.get_model_version(self._settings.model_name, number))

    def version_of(self, release_id: str) -> Version | None:
        """The newest version that is this release; None if it was never registered."""
        found = self._client.search_model_versions(f"name = '{self._settings.model_name}'")
        of_release = [each for each in found if each.tags.get(RELEASE_ID_TAG) == release_id]
        return _version(max(of_release, key=lambda each: int(each.version))) if of_release else None

    def keeps(self, version: Version, folder: str) -> bool:
        """Whether the version's run has a folder of that name."""
        return bool(self._client.list_artifacts(version.run_id, folder))

    def name_challenger(self, number: str) -> None:
        """Give the version the alias of the challenger."""
        self._name(CHALLENGER, number)

    def promote(self, number: str, why: str, *, anchor: bool, overridden: bool = False) -> None:
        """Make the version champion, and with `anchor` the anchor too; record when, why and which version it replaces.

        The new champion has no challenger yet. `overridden`: a person promotes what a gate refused.
        """
        before = self.champion()
        if before and not anchor and self.anchor() is None:  # the registry is from before there were anchors
            self._name(ANCHOR, before.number)
        if before and before.number != number:
            self._note(number, _REPLACED_TAG, before.number)
        for record in ("promoted", *(("overridden",) if overridden else ())):
            self._note(number, record, f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: {why}")
        self._name(CHAMPION, number)
        if anchor:
            self._name(ANCHOR, number)
        self._client.delete_registered_model_alias(self._settings.model_name, CHALLENGER)

    def roll_back(self, version: Version, why: str) -> None:
        """Make an earlier version champion and anchor again, and record with the replaced one when and why.

        The record of which version the earlier one had replaced is kept, so that the next rollback continues from
        there.
        """
        champion = self.champion()
        if champion:
            self._note(champion.number, "rolled_back", f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: {why}")
        for alias in (CHAMPION, ANCHOR):
            self._name(alias, version.number)

    def _name(self, alias: str, number: str) -> None:
        self._client.set_registered_model_alias(self._settings.model_name, alias, number)

    def _note(self, number: str, tag: str, text: str) -> None:
        self._client.set_model_version_tag(self._settings.model_name, number, tag, text)

    def _log(self, run_id: str, record: TrainingRecord) -> None:
        from mlflow.entities import Metric

        self._mlflow.log_params(dict(record.parameters))
        self._mlflow.log_metrics(dict(record.metrics))
        now = int(time.time() * 1000)
        for name, values in record.curves.items():
            steps = range(0, len(values), max(1, len(values) // _CURVE_POINTS))
            points = [Metric(name, values[step], now, step) for step in steps]
            self._client.log_batch(run_id, metrics=points)  # one request a curve

    def _register(self, release: Release, run_id: str, source: str, tags: Mapping[str, str]) -> str:
        from mlflow.exceptions import MlflowException

        name = self._settings.model_name
        try:
            self._client.get_registered_model(name)
        except MlflowException:
            self._client.create_registered_model(name, description="Release bundles of Headrace.")
        version = self._client.create_model_version(
            name, source, run_id, tags={RELEASE_ID_TAG: release.release_id, **tags}
        )
        return str(version.version)


def _named(group: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{group}.{name}": value for name, value in values.items()}


def _version(found: Any) -> Version:
    tags = found.tags
    return Version(
        str(found.version), tags.get(RELEASE_ID_TAG, ""), found.run_id, tags.get(_REPLACED_TAG), tags.get("refusal", "")
    )


def _require_answer(uri: str) -> None:
    if not uri.startswith(("http://", "https://")):
        return
    try:
        httpx.get(f"{uri.rstrip('/')}/health", timeout=_TIMEOUT_S).raise_for_status()
    except httpx.HTTPError as error:
        raise ServiceError(
            f"MLflow at {uri} is not reachable ({type(error).__name__})", "Start it with `headrace up`"
        ) from None
