"""The release's ranker: one ONNX Runtime batch over the candidates of a request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.errors import ReleaseError
from headrace.features.ranking import CATEGORICAL, NUMERIC, RankingFeatures
from headrace.release.bundle import RANKER, RANKER_INT8, RANKER_SCHEMA, Release

_HINT = "Train the ranker again with this version of Headrace"


class Ranker:
    """Scores candidates by their features; larger is better."""

    def __init__(self, model: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # a request is one small batch: more threads cost more than they give
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        names = sorted(node.name for node in self._session.get_inputs())
        if not set(names) <= {"numeric", "categorical"}:
            raise ReleaseError(
                f"{model.name} has the inputs {', '.join(names)}, expected numeric and categorical", _HINT
            )
        self._inputs = frozenset(names)

    def scores(self, features: RankingFeatures) -> npt.NDArray[np.float32]:
        """One score per candidate, [candidates], also of none."""
        if not len(features.numeric):
            return np.zeros(0, np.float32)
        feed = {name: array for name, array in vars(features).items() if name in self._inputs}
        return np.asarray(self._session.run(None, feed)[0], np.float32).reshape(-1)


def open_ranker(release: Release, precision: str = "float") -> Ranker:
    """The ranker of an opened release, its weights as floats or, if `precision` is `int8`, as int8.

    Raises ReleaseError if it was trained on other features than this code computes, or has none of that precision.
    """
    schema: dict[str, Any] = release.json(RANKER_SCHEMA)
    for name, ours in (("numeric", NUMERIC), ("categorical", CATEGORICAL)):
        theirs = schema.get(name)
        if theirs != list(ours):
            raise ReleaseError(
                f"release {release.release_id}: {RANKER_SCHEMA} lists other {name} features than this code computes",
                _HINT,
            )
    file = RANKER_INT8 if precision == "int8" else RANKER
    if file not in release.manifest.files:
        raise ReleaseError(
            f"release {release.release_id} has no {precision} ranker",
            "Set serving.ranker_precision to float, or train the ranker again with this version of Headrace",
        )
    return Ranker(release.path(file))
