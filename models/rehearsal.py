"""What a release can be judged by: its *rehearsal*, the holdout bundle with the ranker that the judges judged.

The release itself has learnt the holdout's events, so that no past event can judge it. Its rehearsal, trained in the
same way on less, answers for it, today as challenger and later as champion: it is kept with the release's run.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from headrace import release
from headrace.release import Release, open_release
from headrace.settings import Settings
from models.assembly import assemble
from models.command import replacing
from models.training_files import HOLDOUT_BUNDLE, JUDGED_RANKER_FOLDER

_NOT_SERVED = (release.USER_TOWER_SAVED_MODEL, release.RANKER_SAVED_MODEL)


def keep_rehearsal(settings: Settings, training: Path, release_id: str) -> Release:
    """Seal the rehearsal of a release from the training's folder, in `<home>/rehearsals/<release id>`."""
    source = open_release(training / HOLDOUT_BUNDLE)
    evaluation = {"rehearsal_of": release_id}
    with replacing(settings.rehearsals / release_id) as partial:
        assemble(
            source, training / JUDGED_RANKER_FOLDER, partial, evaluation, source.manifest.code_version, _NOT_SERVED
        )
    return open_release(settings.rehearsals / release_id)


def drop_other_rehearsals(settings: Settings, *kept: str) -> None:
    """Remove those on this machine that nobody will ask for: they are in MLflow."""
    for folder in settings.rehearsals.iterdir() if settings.rehearsals.exists() else ():
        if folder.is_dir() and folder.name not in kept:
            shutil.rmtree(folder)
