"""Bundles from the registry: downloaded by one process at a time, verified, and put in place whole."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO

from headrace.errors import HeadraceError, ReleaseError, ServiceError
from headrace.machine.subprocesses import module_command
from headrace.release.bundle import open_release
from headrace.settings import Settings

RETRY_S = 60.0
"""A download that failed is not tried again by any process before this time is over."""

Files = tuple[tuple[str, int, int], ...]
"""Name, size and time of change of each file of a folder."""
_verified: dict[Path, Files] = {}


def bring_bundle(settings: Settings, run_id: str, folder: Path, artifact: str) -> Path:
    """`folder`, whole: where a file is missing or changed, it is downloaded from the artifacts of an MLflow run.

    Of the processes and threads that want a bundle one downloads it; the others wait and find it there. Raises
    ServiceError if it cannot be downloaded, ReleaseError if what was downloaded is broken. Blocking.
    """
    if not is_whole(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (folder.parent / f".{folder.name}.lock").open("a+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not is_whole(folder):
                _raise_if_failed_lately(lock)
                try:
                    _download(settings, run_id, folder, artifact)
                except HeadraceError as error:
                    json.dump([isinstance(error, ServiceError), error.problem, error.hint], lock)
                    raise
    return folder


def is_whole(folder: Path) -> bool:
    """Whether `open_release` takes the bundle in `folder`; its content is read again only if a file was changed."""
    try:
        files = _files(folder)
        if _verified.get(folder) != files:
            open_release(folder)
            _verified[folder] = files
    except (ReleaseError, OSError):  # another process may be replacing it
        return False
    return True


def _download(settings: Settings, run_id: str, folder: Path, artifact: str) -> None:
    for left in folder.parent.glob(f".{folder.name}.*.partial"):  # of a process that was killed: the lock is ours
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent) as own:
        ended = subprocess.run(
            # A process of its own: who waits here answers requests beside, and the client is 169 MB of imports.
            module_command("mlflow", "artifacts", "download", "-r", run_id, "-a", artifact, "-d", own),
            env={**os.environ, "MLFLOW_TRACKING_URI": settings.mlflow.tracking_uri},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if ended.returncode:
            reason = (ended.stderr.strip() or f"exit code {ended.returncode}").splitlines()[-1]
            raise ServiceError(
                f"release {folder.name} cannot be downloaded from MLflow run {run_id}: {reason}",
                "Check the run's artifacts, or promote another release with `headrace release promote`",
            )
        fetched = Path(own) / artifact
        open_release(fetched)
        if folder.exists():
            folder.rename(Path(own) / "broken")
        fetched.rename(folder)


def _raise_if_failed_lately(lock: IO[str]) -> None:
    """Forgets a failure that is older."""
    lock.seek(0)
    failure = lock.read()
    if failure and abs(time.time() - os.fstat(lock.fileno()).st_mtime) < RETRY_S:
        of_service, problem, hint = json.loads(failure)
        raise (ServiceError if of_service else ReleaseError)(problem, hint)
    lock.truncate(0)


def _files(folder: Path) -> Files:
    found = ((path, path.stat()) for path in sorted(folder.rglob("*")) if path.is_file())
    return tuple((str(path), stat.st_size, stat.st_mtime_ns) for path, stat in found)
