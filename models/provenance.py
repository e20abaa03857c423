"""Which code made a bundle, and in which environment."""

from __future__ import annotations

import platform
import subprocess
from contextlib import suppress
from importlib import metadata

from headrace.settings import PROJECT_ROOT

PACKAGES = (
    "tensorflow",
    "tensorflow-recommenders",
    "numpy",
    "scipy",
    "scann",
    "onnx",
    "onnxruntime",
    "tf2onnx",
    "pyarrow",
    "deltalake",
    "mlflow",
)
"""What a model's numbers can depend on."""


def environment() -> dict[str, str]:
    """Python, machine and version of each of `PACKAGES`, by name."""
    found = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


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
