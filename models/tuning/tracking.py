"""Trials as runs of MLflow; those that could not be logged are logged with the next one that can."""

from __future__ import annotations

import optuna

from headrace.errors import ServiceError
from headrace.settings.engines import MlflowSettings
from models.release.registry import Registry
from models.tuning.study import EVALUATIONS, done

_RUN_OF = "run of trial {}"


def log_trials(study: optuna.Study, settings: MlflowSettings) -> int:
    """Log all finished trials that are not yet there; how many there were.

    Raises ServiceError if MLflow is not reachable; the study keeps them.
    """
    waiting = [trial for trial in done(study) if _RUN_OF.format(trial.number) not in study.user_attrs]
    if not waiting:
        return 0
    registry = Registry(settings)
    for trial in waiting:
        metrics = {f"look_{step % EVALUATIONS}": value for step, value in trial.intermediate_values.items()}
        if trial.value is not None:
            metrics["objective"] = trial.value
        tags = {"headrace.tuning": study.study_name, "trial": str(trial.number), "state": trial.state.name.lower()}
        run = registry.log_run(f"{study.study_name} {trial.number}", dict(trial.params), metrics, tags)
        study.set_user_attr(_RUN_OF.format(trial.number), run)  # a finished trial accepts no attributes
    return len(waiting)


def try_to_log(study: optuna.Study, settings: MlflowSettings) -> str:
    """A message for the user if logging failed; empty if it succeeded."""
    try:
        log_trials(study, settings)
    except ServiceError as error:
        return f"{error.problem}. The trials are saved and will be logged by the next run of this command. {error.hint}"
    return ""
