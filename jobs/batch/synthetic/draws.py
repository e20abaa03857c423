"""Random numbers as hashes of (seed, purpose, row numbers): the same in every process and at every draw."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True)
class Draws:
    """All random numbers of one world."""

    seed: int

    def uniform(self, purpose: str, *rows: ArrayLike) -> Floats:
        """Numbers in [0, 1), one for each combination of the broadcast `rows` (whole numbers).

        With another purpose the numbers for the same rows are independent. The mixing is that of splitmix64 (Steele,
        Lea and Flood, 2014), once for each part of the key.
        """
        key = hashlib.blake2b(f"{self.seed}/{purpose}".encode(), digest_size=8).digest()
        state: Any = np.uint64(int.from_bytes(key, "little"))
        with np.errstate(over="ignore"):
            for row in rows:
                state = _mixed(state + np.asarray(row, dtype=np.int64).astype(np.uint64) * _STEP)
        return np.asarray((state >> np.uint64(11)) * 2.0**-53, dtype=np.float64)

    def below(self, limit: ArrayLike, purpose: str, *rows: ArrayLike) -> Ints:
        """Integers in [0, limit), uniformly distributed."""
        limits = np.asarray(limit, dtype=np.int64)
        return np.minimum((self.uniform(purpose, *rows) * limits).astype(np.int64), limits - 1)

    def normal(self, purpose: str, *rows: ArrayLike) -> Floats:
        """Numbers of the standard normal distribution (Box and Muller)."""
        radius = np.sqrt(-2.0 * np.log1p(-self.uniform(f"{purpose}/radius", *rows)))
        return np.asarray(radius * np.cos(2.0 * np.pi * self.uniform(f"{purpose}/angle", *rows)), dtype=np.float64)


def zipf_rank(uniform: ArrayLike, size: ArrayLike, exponent: float) -> Ints:
    """Ranks in [0, size) of a Zipf-like law (density (1 + x)^-exponent, exponent ≠ 1) for `uniform` in [0, 1)."""
    power = 1.0 - exponent
    sizes = np.asarray(size, dtype=np.int64)
    index = (1.0 + np.asarray(uniform) * ((1.0 + sizes) ** power - 1.0)) ** (1.0 / power) - 1.0
    return np.clip(index.astype(np.int64), 0, np.maximum(sizes - 1, 0))


def zipf_probability(rank: ArrayLike, size: ArrayLike, exponent: float) -> Floats:
    """Probability that `zipf_rank` returns `rank`; 0 outside [0, size)."""
    power = 1.0 - exponent
    ranks, sizes = np.asarray(rank, dtype=np.float64), np.asarray(size, dtype=np.float64)
    inside = (ranks >= 0) & (ranks < sizes)
    safe = np.where(inside, ranks, 0.0)
    total = np.where(sizes > 0, (1.0 + np.maximum(sizes, 1.0)) ** power - 1.0, 1.0)
    return np.where(inside, ((safe + 2.0) ** power - (safe + 1.0) ** power) / total, 0.0)


def _mixed(state: Any) -> Any:
    state = (state ^ (state >> np.uint64(30))) * _FIRST
    state = (state ^ (state >> np.uint64(27))) * _SECOND
    return state ^ (state >> np.uint64(31))
