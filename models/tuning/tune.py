"""Searches for better settings: `python -m models.tuning.tune two_tower|ranker --day D --trials 20 --minutes 30`.

Every trial is trained on events before the holdout of the day and evaluated on the holdout. The study is stored in
`<home>/tuning`: run the same command again to continue.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from datetime import date

import optuna
from optuna.trial import TrialState
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from headrace.machine.last_resort import reporting_errors
from headrace.settings import Settings, load_settings
from headrace.settings.jobs import TrainingSettings
from models.ranker.examples.training_data import read_ranking_data
from models.ranker.training import train_ranker_model
from models.training.command import progress_bars
from models.training.workers import Worker
from models.tuning.spaces import RANKER, TWO_TOWER, Space
from models.tuning.study import Budget, Objective, OnEvaluation, best_settings, done, open_study, search
from models.tuning.tracking import try_to_log
from models.two_tower.examples.inputs import read_inputs
from models.two_tower.training_phases import TrainingPhases

SPACES: dict[str, Space] = {"two_tower": TWO_TOWER, "ranker": RANKER}


def tune(settings: Settings, part: str, day: date, budget: Budget) -> optuna.Study:
    """Search on from where the study is; every finished trial is a run of MLflow.

    Raises BadInputError where there are no training data.
    """
    database = settings.home_folder / "tuning" / f"{part}-{day}.sqlite"
    study, space = open_study(f"{part} {day}", database, settings.training, SPACES[part])
    note = ""
    with progress_bars() as progress:
        task = progress.add_task(f"trials, {part}", total=budget.trials, completed=len(done(study)))

        def finished() -> None:
            nonlocal note
            note = try_to_log(study, settings.mlflow)
            progress.update(task, completed=len(done(study)))

        search(study, space, settings.training, _OBJECTIVES[part](settings, day), budget, finished)
    if note:
        print(note, file=sys.stderr)
    return study


def _two_tower(settings: Settings, day: date) -> Objective:
    """Recall@500 of new items on the holdout."""
    inputs = read_inputs(settings, day, _silent())

    def objective(training: TrainingSettings, on_evaluation: OnEvaluation) -> float:
        phases = TrainingPhases(inputs, training, Worker(), _silent())
        phases.up_to_the_holdout(on_evaluation)
        return phases.measure().recall_new

    return objective


def _ranker(settings: Settings, day: date) -> Objective:
    """Sum of both tasks' nDCG@20 of the validation users."""
    ranking_data = read_ranking_data(settings, day)

    def objective(training: TrainingSettings, on_evaluation: OnEvaluation) -> float:
        _, report = train_ranker_model(ranking_data, training, _silent(), on_evaluation=on_evaluation)
        return report.ndcg_all[-1] + report.ndcg_new[-1]

    return objective


_OBJECTIVES: dict[str, Callable[[Settings, date], Objective]] = {"two_tower": _two_tower, "ranker": _ranker}


def _silent() -> Progress:
    """The search has a bar of its own."""
    return Progress(disable=True)


def _print(study: optuna.Study, space: Space) -> None:
    table = Table("trial", "objective", *(name.removeprefix("retrieval_").removeprefix("ranker_") for name in space))
    for trial in sorted(done(study), key=lambda each: -(each.value or 0.0)):
        pruned = trial.state is TrialState.PRUNED
        value = "pruned" if pruned else f"{trial.value:.4f}"
        table.add_row(str(trial.number), value, *(_short(trial.params[name]) for name in space))
    Console().print(table)
    print("Best, as lines below [training] of a settings file:")
    for name, value in best_settings(study).items():
        print(f"{name} = {json.dumps(value)}")


def _short(value: float | str) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> int:
    """Command line; 0 if the search ran to the end of its budget."""
    parser = argparse.ArgumentParser(prog="python -m models.tuning.tune", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("part", choices=sorted(SPACES), help="what to tune")
    parser.add_argument("--day", type=date.fromisoformat, required=True, help="day of the gold tables, YYYY-MM-DD")
    parser.add_argument("--trials", type=int, default=20, help="of the whole study, earlier runs included (default 20)")
    parser.add_argument("--minutes", type=float, default=30.0, help="of this run (default 30)")
    given = parser.parse_args()
    budget = Budget(given.trials, given.minutes)
    return reporting_errors(lambda: _print(tune(load_settings(), given.part, given.day, budget), SPACES[given.part]))


if __name__ == "__main__":
    sys.exit(main())
