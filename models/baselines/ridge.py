"""The one hard step of every ridge regression in closed form."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import linalg

from headrace.errors import BadInputError


def inverse_of(gram: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Inverse of a positive definite matrix, in place by Cholesky. Raises BadInputError where it is not one."""
    factor, failed = linalg.lapack.dpotrf(gram, lower=1, overwrite_a=1)
    inverse, failed_too = linalg.lapack.dpotri(factor, lower=1, overwrite_c=1)
    if failed or failed_too:
        raise BadInputError("the item-item matrix is singular", "Raise its ridge")
    lower = np.tril(inverse)
    return lower + np.tril(lower, -1).T
