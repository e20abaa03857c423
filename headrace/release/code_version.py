"""Which code made a training set or a model."""

from __future__ import annotations

import subprocess
from importlib import metadata

from headrace.settings import PROJECT_ROOT


def code_version() -> str:
    """Commit of the code, with `+changes` where the tree is not clean; the package's version where there is no git."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        return f"{commit}+changes" if _git("status", "--porcelain", "--untracked-files=no") else commit
    except (OSError, subprocess.SubprocessError):
        return f"headrace {metadata.version('headrace')}"


def _git(*arguments: str) -> str:
    answer = subprocess.run(
        ["git", *arguments], cwd=PROJECT_ROOT, check=True, capture_output=True, text=True, timeout=10
    )
    return answer.stdout.strip()
