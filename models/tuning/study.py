"""A search that can be broken off and gone on with: its trials are rows of a small database."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from headrace.settings.jobs import TrainingSettings
from models.tuning.spaces import Space, suggested, with_values

OnEvaluation = Callable[[float, int, int], None]
"""Gets a value, the number of the evaluation, from 1, and how many the whole training will have."""
Objective = Callable[[TrainingSettings, OnEvaluation], float]
"""Trains with these settings and returns the value to maximise; reports intermediate values to the callback, which may
raise to prune the trial."""
EVALUATIONS = 1000
"""A trial's step is so many times the evaluations of its whole training, plus the number of this one: trials are
compared at the same place of the same schedule, for a longer training is worse on its way."""
_BEGUN_WITH = "begun_with"
_FIRST_TRIALS = 4
"""Trials that reached a place before another one is pruned there: with fewer there is nothing to compare it with."""


@dataclass(frozen=True)
class Budget:
    """A search ends at the first of these limits."""

    trials: int
    """Of the whole search, those of earlier runs included."""
    minutes: float
    """Of this run."""


def open_study(name: str, database: Path, training: TrainingSettings, space: Space) -> tuple[optuna.Study, Space]:
    """The study, as it was left or new, and its space: so wide that the settings it was begun with are in it.

    A new study first tries the settings as they are. A trial that was running when the process was killed counts as
    failed, and its settings are tried again. What a resumed study draws is not what it drew before.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    database.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name=name,
        storage=f"sqlite:///{database}",
        load_if_exists=True,
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_FIRST_TRIALS, n_min_trials=_FIRST_TRIALS),
    )
    study.sampler = optuna.samplers.TPESampler(seed=training.seed + len(study.trials))
    if _BEGUN_WITH not in study.user_attrs:
        study.set_user_attr(_BEGUN_WITH, {setting: getattr(training, setting) for setting in space})
        study.enqueue_trial(study.user_attrs[_BEGUN_WITH])
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        if len(trial.params) == len(space):
            study.enqueue_trial(trial.params)
    return study, with_values(space, study.user_attrs[_BEGUN_WITH])


def search(
    study: optuna.Study,
    space: Space,
    training: TrainingSettings,
    objective: Objective,
    budget: Budget,
    finished: Callable[[], None],
) -> None:
    """Continue the study until the budget is used up; `finished` is called after every trial."""

    def run(trial: optuna.Trial) -> float:
        chosen = TrainingSettings.model_validate({**training.model_dump(), **suggested(trial, space)})

        def on_evaluation(value: float, number: int, planned: int) -> None:
            trial.report(value, EVALUATIONS * planned + number)
            if number > 1 and trial.should_prune():
                raise optuna.TrialPruned

        return objective(chosen, on_evaluation)

    started = time.monotonic()
    while len(done(study)) < budget.trials and time.monotonic() - started < budget.minutes * 60:
        study.optimize(run, n_trials=1)
        finished()


def done(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """The trials that ended, pruned ones included."""
    return list(study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED)))


def best_settings(study: optuna.Study) -> dict[str, Any]:
    """Of the best trial that was not pruned."""
    return dict(study.best_trial.params)
