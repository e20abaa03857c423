"""Users by whom rankers and releases are evaluated: the same every day, so that releases can be compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from headrace.user_sample import hash_fractions


def validation_fractions(user_ids: Sequence[str]) -> npt.NDArray[np.float64]:
    """[users]: a number from 0 to 1 by hash of each id; users below the validation share are validation users.

    It depends on neither the day, the seed nor the other users: a user chosen by one share is chosen by a larger one.
    """
    return hash_fractions(user_ids)


def choose_validation_users(user_ids: Sequence[str], share: float) -> npt.NDArray[np.bool_]:
    """[users]: True for validation users: about `share` of all, at least one, and never all of two or more."""
    fractions = validation_fractions(user_ids)
    validating = fractions < share
    if len(fractions) and not validating.any():
        validating[fractions.argmin()] = True
    if len(fractions) > 1 and validating.all():
        validating[fractions.argmax()] = False
    return validating
