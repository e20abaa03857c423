"""Makes the release of one day and puts it live: `python -m models.build_release --day D`.

Joins the retrieval bundle and the ranker of `<home>/training/<D>/` into `<home>/releases/<release id>/`, logs it to
MLflow, registers it and, if it passes every gate, gives it the alias `champion`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from headrace import release
from headrace.errors import BadInputError, ReleaseError, ServiceError
from headrace.release import Release, open_release, seal_release
from headrace.releases import remember_alias
from headrace.settings import Settings, load_settings
from models import training_files as files
from models.command import reporting_errors, write_json
from models.gates import Gate, as_json, release_gates
from models.provenance import code_version
from models.registry import CHAMPION, Registry, TrainingRecord, bundle_note

_TIMINGS = ("seconds", "examples_per_second")


@dataclass(frozen=True)
class _Trained:
    """What the two trainings of a day left behind."""

    retrieval: Release
    ranker: Path
    metrics: dict[str, Any]
    parameters: dict[str, Any]


def build_release(settings: Settings, day: date, *, register: bool = True) -> Release:
    """Assemble, log, register and promote the release of `day`; without `register` only the first.

    Raises BadInputError if a training is missing, ServiceError if MLflow is away (the bundle stays on disk) and
    ReleaseError if a gate refuses promotion (the old champion stays).
    """
    trained = _read(settings.training_folder / day.isoformat())
    try:
        gates = release_gates(trained.metrics["retrieval"], trained.metrics["ranker"])
    except (KeyError, IndexError) as error:
        raise BadInputError(f"the training of {day} lacks the measurement {error}", "Train the day again") from None
    bundle = _assemble(settings, trained, gates)
    print(f"release {bundle.release_id} in {bundle.folder}")
    if not register:
        return bundle
    failed = [gate for gate in gates if not gate.passed]
    refusal = "; ".join(gate.sentence() for gate in failed)
    try:
        registry = Registry(settings.mlflow)
    except ServiceError as error:
        raise ServiceError(error.problem, f"{error.mend}. {bundle_note(bundle.folder)}") from None
    tags = {"gates": "refused" if failed else "passed", **({"refusal": refusal} if failed else {})}
    version = registry.log_release(bundle, _records(trained), tags)
    print(f"registered as version {version} of '{settings.mlflow.model_name}'")
    if failed:
        raise ReleaseError(
            f"release {bundle.release_id} is not promoted: {refusal}", "The champion stays; look at the run in MLflow"
        )
    registry.promote(version, "; ".join(gate.sentence() for gate in gates))
    remember_alias(settings, CHAMPION, bundle.release_id)
    print(f"version {version} is now '{CHAMPION}'")
    return bundle


def _read(folder: Path) -> _Trained:
    return _Trained(
        retrieval=open_release(folder / files.FINAL_BUNDLE),
        ranker=folder / files.RANKER_FOLDER,
        metrics={
            "retrieval": _json(folder / files.RETRIEVAL_METRICS),
            "ranker": _json(folder / files.RANKER_METRICS),
        },
        parameters={
            "retrieval": _json(folder / files.RETRIEVAL_PARAMETERS),
            "ranker": _json(folder / files.RANKER_PARAMETERS),
        },
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise BadInputError(
            f"{path} is missing or unreadable", "Train first: models.train_retrieval, then models.train_ranker"
        ) from None
    return content


def _assemble(settings: Settings, trained: _Trained, gates: list[Gate]) -> Release:
    """The sealed bundle in `<home>/releases/<release id>`; the same content built before is kept as it is."""
    manifest = trained.retrieval.manifest
    settings.releases.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=settings.releases) as name:
        partial = Path(name) / "release"
        shutil.copytree(trained.retrieval.folder, partial, ignore=shutil.ignore_patterns(release.MANIFEST))
        try:
            shutil.copytree(trained.ranker, partial, dirs_exist_ok=True)
        except OSError:
            raise BadInputError(
                f"{trained.ranker} holds no ranker", "Train it: python -m models.train_ranker --help"
            ) from None
        evaluation = {"holdout": _without_timings(trained.metrics), "gates": as_json(gates), "tables": manifest.tables}
        write_json(partial / release.EVALUATION, evaluation)
        sealed = seal_release(
            partial,
            stage="full",
            as_of=manifest.as_of,
            code_version=code_version(),
            seed=manifest.seed,
            tables=manifest.tables,
            settings=manifest.settings,
        )
        folder = settings.releases / sealed.release_id
        if not folder.exists():
            partial.rename(folder)
    return open_release(folder)


def _without_timings(content: Any) -> Any:
    """Without what differs between two runs on the same data: the same training makes the same release."""
    if isinstance(content, Mapping):
        return {key: _without_timings(value) for key, value in content.items() if key not in _TIMINGS}
    return [_without_timings(value) for value in content] if isinstance(content, list) else content


def _records(trained: _Trained) -> list[TrainingRecord]:
    retrieval, ranker = trained.metrics["retrieval"], trained.metrics["ranker"]
    phases = {phase["name"]: phase for phase in retrieval["phases"]}
    curves = {f"loss_{name}": phase["losses"] for name, phase in phases.items()}
    speeds = {f"examples_per_second_{name}": phase["examples_per_second"] for name, phase in phases.items()}
    return [
        TrainingRecord(
            "retrieval",
            trained.parameters["retrieval"],
            {**_numbers(retrieval), **speeds, "index_recall_at_500": retrieval["index"]["recall"]},
            curves,
        ),
        TrainingRecord(
            "ranker",
            trained.parameters["ranker"],
            {
                **_numbers(ranker),
                **_numbers(ranker["probabilities"]),
                "ndcg_at_20_all": ranker["ndcg_all"][-1],
                "ndcg_at_20_new": ranker["ndcg_new"][-1],
            },
            {"loss": ranker["losses"], "ndcg_all": ranker["ndcg_all"], "ndcg_new": ranker["ndcg_new"]},
        ),
    ]


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if isinstance(value, int | float)}


def main() -> int:
    """Command line; 0 if the release is live (or, with `--no-register`, on disk)."""
    parser = argparse.ArgumentParser(prog="python -m models.build_release", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--day", type=date.fromisoformat, required=True, help="day of the gold tables, YYYY-MM-DD")
    parser.add_argument("--no-register", action="store_true", help="only build the bundle: no MLflow, no gates")
    given = parser.parse_args()
    return reporting_errors(lambda: build_release(load_settings(), given.day, register=not given.no_register))


if __name__ == "__main__":
    sys.exit(main())
