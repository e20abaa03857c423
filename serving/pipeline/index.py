"""Which items lie nearest to a vector: the release's ScaNN index.

ScaNN's native module is loaded by itself: `import scann` would import TensorFlow (8 s, 400 MB) for nothing, and its
loader unpickles a file of the bundle. The assets are found by name in the release's folder, wherever that was moved.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.errors import HeadraceError, ReleaseError
from headrace.release.bundle import INDEX, Release

_ASSETS = "scann_assets.pbtxt"
_ASSET_PATH = re.compile(r'asset_path: "([^"]*)"')
_REORDERED = re.compile(r"exact_reordering \{\s*approx_num_neighbors: (\d+)")
_LEAVES = re.compile(r"num_children: (\d+)")
_REORDERED_PER_NEIGHBOUR = 2
"""Approximate neighbours scored exactly per neighbour asked for, where the index's own number would be too few."""
_THOROUGHLY_REORDERED_PER_NEIGHBOUR = 32


class VectorIndex:
    """Approximate search for the largest inner products over the item embeddings of one release."""

    def __init__(self, folder: Path, *, thorough: bool = False) -> None:
        """Open the searcher in `folder`. Raises ReleaseError if it is missing or cannot be read.

        ScaNN draws the parts of an index anew each time it builds one, so that two indexes of the same embeddings
        differ in what they miss. A `thorough` search reads all parts and scores more of them exactly: it finds the same
        in both, but for a stray item, in five times the time (0.5 ms of 92,000 items).
        """
        try:
            assets = (folder / _ASSETS).read_text(encoding="utf-8")
            absolute = _ASSET_PATH.sub(lambda found: f'asset_path: "{folder / Path(found[1]).name}"', assets)
            self._searcher = native_scann().ScannNumpy(str(folder), absolute)
        except (OSError, RuntimeError, ValueError) as error:
            raise ReleaseError(
                f"{folder}: the ScaNN index cannot be opened ({error})", "Build the release again"
            ) from None

        config = self._searcher.config()
        leaves = _number(_LEAVES, config)
        self._reordered = _number(_REORDERED, config)
        self._leaves = leaves if thorough and leaves else -1
        self._per_neighbour = _THOROUGHLY_REORDERED_PER_NEIGHBOUR if thorough else _REORDERED_PER_NEIGHBOUR

    def nearest(self, vector: npt.NDArray[np.float32], number: int) -> npt.NDArray[np.int32]:
        """Rows of at most `number` items, largest inner product with `vector` first."""
        reordered = max(self._reordered, number * self._per_neighbour)
        rows, _ = self._searcher.search(vector, number, reordered, self._leaves)
        return np.asarray(rows, np.int32)


def _number(pattern: re.Pattern[str], config: str) -> int:
    found = pattern.search(config)
    return int(found[1]) if found else 0


def open_index(release: Release, *, thorough: bool = False) -> VectorIndex:
    """The index of an opened release."""
    return VectorIndex(release.path(INDEX).resolve(), thorough=thorough)


def native_scann() -> Any:
    """ScaNN's compiled module, which needs nothing but NumPy."""
    spec = importlib.util.find_spec("scann")
    if spec is None or spec.origin is None:
        raise HeadraceError("ScaNN is not installed", "Install the extra `serving`")
    folder = str(Path(spec.origin).parent / "scann_ops" / "cc" / "python")
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module("scann_pybind")
