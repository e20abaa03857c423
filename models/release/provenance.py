"""The environment in which a bundle was built."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib import metadata

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
