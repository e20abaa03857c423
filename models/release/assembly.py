"""Joins a retrieval bundle and a ranker into one whole, sealed bundle."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from headrace.errors import BadInputError
from headrace.release import bundle as release
from headrace.release.bundle import Release, seal_release
from models.training.command import write_json


def assemble(
    retrieval: Release, ranker: Path, partial: Path, evaluation: Any, code_version: str, without: tuple[str, ...] = ()
) -> Release:
    """Fill and seal the folder `partial`; files and folders named in `without` are left out.

    The release has the inputs of the retrieval bundle. Raises BadInputError where `ranker` is not a folder.
    """
    left_out = shutil.ignore_patterns(release.MANIFEST, *without)
    shutil.copytree(retrieval.folder, partial, ignore=left_out, dirs_exist_ok=True)
    try:
        shutil.copytree(ranker, partial, ignore=left_out, dirs_exist_ok=True)
    except OSError:
        raise BadInputError(f"{ranker} holds no ranker", "Train it: python -m models.train_ranker --help") from None
    write_json(partial / release.EVALUATION, evaluation)
    manifest = retrieval.manifest
    return seal_release(
        partial,
        stage="full",
        as_of=manifest.as_of,
        code_version=code_version,
        seed=manifest.seed,
        tables=manifest.tables,
        settings=manifest.settings,
    )
