"""Searches for settings: their budget, what they give up, and that they go on where they were broken off."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from headrace.settings.jobs import TrainingSettings
from models.tuning.spaces import Between, Space
from models.tuning.study import Budget, OnEvaluation, best_settings, done, open_study, search
from models.tuning.tune import tune
from tests.models.conftest import Trained
from tests.models.planted_world import DAY

SPACE: Space = {"id_dropout": Between(0.0, 0.9), "retrieval_epochs": Between(1, 9)}
AS_THEY_ARE = TrainingSettings(id_dropout=0.5, retrieval_epochs=2)


def hill(training: TrainingSettings, on_evaluation: OnEvaluation) -> float:
    """Highest at a dropout of 0.3; every trial but the best of the first is worse from the start."""
    height = 1 - abs(training.id_dropout - 0.3)
    for number in (1, 2, 3):
        on_evaluation(height, number, 3)
    return height


def opened(folder: Path) -> optuna.Study:
    return open_study("hills", folder / "study.sqlite", AS_THEY_ARE, SPACE)[0]


def test_the_settings_as_they_are_come_first_and_the_best_is_no_worse(tmp_path: Path):
    study = opened(tmp_path)
    search(study, SPACE, AS_THEY_ARE, hill, Budget(12, 5), lambda: None)
    assert study.trials[0].params == {"id_dropout": 0.5, "retrieval_epochs": 2}
    assert len(done(study)) == 12
    assert study.best_value > study.trials[0].value
    assert abs(best_settings(study)["id_dropout"] - 0.3) < 0.2
    assert study.get_trials(states=(TrialState.PRUNED,)), "what is below the median is given up"


def test_an_interrupted_search_resumes(tmp_path: Path):
    def killed(_training: TrainingSettings, _on_evaluation: OnEvaluation) -> float:
        raise KeyboardInterrupt

    search(opened(tmp_path), SPACE, AS_THEY_ARE, hill, Budget(3, 5), lambda: None)
    with pytest.raises(KeyboardInterrupt):
        search(opened(tmp_path), SPACE, AS_THEY_ARE, killed, Budget(5, 5), lambda: None)
    search(opened(tmp_path), SPACE, AS_THEY_ARE, hill, Budget(5, 5), lambda: None)
    assert len(done(opened(tmp_path))) == 5


def test_a_trial_of_a_process_that_died_is_tried_again(tmp_path: Path):
    study = opened(tmp_path)
    trial = study.ask()
    tried = {name: choices.suggest(trial, name) for name, choices in SPACE.items()}
    again = opened(tmp_path)
    search(again, SPACE, AS_THEY_ARE, hill, Budget(1, 5), lambda: None)
    assert again.trials[0].state is TrialState.FAIL
    assert done(again)[0].params == tried


def test_a_resumed_search_draws_other_settings_than_before(tmp_path: Path):
    for trials in (2, 4):
        study = opened(tmp_path)
        search(study, SPACE, AS_THEY_ARE, hill, Budget(trials, 5), lambda: None)
    assert len({tuple(trial.params.values()) for trial in done(study)}) == 4


def test_a_trial_is_compared_after_its_first_evaluation_and_only_with_trainings_of_the_same_length(tmp_path: Path):
    evaluations: list[int] = []

    def slow(training: TrainingSettings, on_evaluation: OnEvaluation) -> float:
        """The longer training is worse on its way, as with a learning rate that is still large."""
        number = 0
        for number in range(1, training.retrieval_epochs + 1):
            evaluations.append(number)
            on_evaluation(number / training.retrieval_epochs - training.id_dropout, number, training.retrieval_epochs)
        return number / training.retrieval_epochs - training.id_dropout

    study = opened(tmp_path)
    for epochs, dropout in ((2, 0.1), (2, 0.2), (2, 0.1), (6, 0.1), (2, 0.9)):
        study.enqueue_trial({"id_dropout": dropout, "retrieval_epochs": epochs})
    search(study, SPACE, AS_THEY_ARE, slow, Budget(6, 5), lambda: None)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 5 + ["PRUNED"]
    assert evaluations[-2:] == [1, 2]


def test_no_trial_begins_after_the_minutes_are_over(tmp_path: Path):
    study = opened(tmp_path)
    search(study, SPACE, AS_THEY_ARE, hill, Budget(5, 0), lambda: None)
    assert not done(study)


@pytest.mark.parametrize("part", ["two_tower", "ranker"])
def test_both_trainings_are_tuned_and_each_trial_is_a_run_of_mlflow(ranker: Trained, part: str):
    import mlflow

    study = tune(ranker.settings, part, DAY, Budget(2, 5))
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2
    assert study.best_value > 0.5
    client = mlflow.MlflowClient(ranker.settings.mlflow.tracking_uri)
    experiment = client.get_experiment_by_name(ranker.settings.mlflow.experiment)
    runs = client.search_runs([experiment.experiment_id], f"tags.`headrace.tuning` = '{part} {DAY}'")
    assert sorted(run.data.metrics["objective"] for run in runs) == sorted(trial.value for trial in study.trials)
