"""Who judges models instead of training them: the same users every day, so that no release ever learnt from them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_BYTES = 8


def validation_fractions(user_ids: Sequence[str]) -> npt.NDArray[np.float64]:
    """[users]: a number from 0 to 1 made of each id alone; users below the share that judges are judges.

    It depends on neither the day, the seed nor the other users: who judges with a share judges with any larger one.
    """
    digests = b"".join(hashlib.blake2b(user.encode(), digest_size=_BYTES).digest() for user in user_ids)
    return np.frombuffer(digests, ">u8").astype(np.float64) / 2.0 ** (8 * _BYTES)


def choose_validation_users(user_ids: Sequence[str], share: float) -> npt.NDArray[np.bool_]:
    """[users]: True for who judges: about `share` of them, at least one, and never all where there are two or more."""
    places = validation_fractions(user_ids)
    validating = places < share
    if len(places) and not validating.any():
        validating[places.argmin()] = True
    if len(places) > 1 and validating.all():
        validating[places.argmax()] = False
    return validating
