"""What a release is evaluated by: its *backtest*, the holdout bundle with a ranker of the holdouts before.

The release itself is trained on the holdout's events, so that no past event can evaluate it. Its backtest, trained in
the same way without the holdout, is evaluated instead, today as challenger and later as champion: it is stored with the
release's run.
"""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.release import bundle as release
from headrace.release.bundle import Release, open_release
from headrace.settings import Settings
from models.release.assembly import assemble
from models.training.command import replacing
from models.training.files import BACKTEST_RANKER_FOLDER, HOLDOUT_BUNDLE

_LEARNED_UNTIL = "ranker_learned_until"
_NOT_SERVED = (release.USER_TOWER_SAVED_MODEL, release.RANKER_SAVED_MODEL)


def keep_backtest(settings: Settings, training: Path, release_id: str, learned_until: str) -> Release:
    """Seal the backtest of a release from the training's folder, in `<home>/backtests/<release id>`.

    `learned_until` is the last day of what its ranker was trained on.
    """
    source = open_release(training / HOLDOUT_BUNDLE)
    evaluation = {"backtest_of": release_id, _LEARNED_UNTIL: learned_until}
    with replacing(settings.backtests / release_id) as partial:
        assemble(
            source, training / BACKTEST_RANKER_FOLDER, partial, evaluation, source.manifest.code_version, _NOT_SERVED
        )
    return open_release(settings.backtests / release_id)


def require_forward(backtest: Release, before: date) -> None:
    """Raises HeadraceError if the ranker learned from anything after the day `before`: it would know the weeks that it
    is evaluated on."""
    evaluation = backtest.json(release.EVALUATION)
    learned_until = evaluation.get(_LEARNED_UNTIL)
    if not learned_until or date.fromisoformat(learned_until) > before:
        raise HeadraceError(
            f"the ranker in the backtest of {evaluation['backtest_of']} was not trained on earlier holdouts alone"
        )


def drop_other_backtests(settings: Settings, *kept: str) -> None:
    """Remove the bundles on this machine that are not needed again: they are in MLflow."""
    for folder in settings.backtests.iterdir() if settings.backtests.exists() else ():
        if folder.is_dir() and folder.name not in kept:
            shutil.rmtree(folder)
