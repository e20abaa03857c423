"""Which users are chosen where there are too many: by hash of the id, so that they are the same ones every day."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_BYTES = 8


def hash_fractions(user_ids: Sequence[str], purpose: str = "") -> npt.NDArray[np.float64]:
    """[users]: a number from 0 to 1 by hash of each id; those of two purposes (at most 16 bytes) are independent."""
    person = purpose.encode()
    digests = (hashlib.blake2b(user.encode(), digest_size=_BYTES, person=person).digest() for user in user_ids)
    return np.frombuffer(b"".join(digests), ">u8").astype(np.float64) / 2.0 ** (8 * _BYTES)


def sample_of(user_ids: Sequence[str], most: int) -> list[str]:
    """All users, or the `most` of the smallest hashes, in the order of their ids.

    It depends on no other user but by their number: a user of a smaller sample is in every larger one.
    """
    smallest = np.argsort(hash_fractions(user_ids, "sample"), kind="stable")[:most]
    return sorted(user_ids[user] for user in smallest)
