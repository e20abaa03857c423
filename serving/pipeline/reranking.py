"""The last word on the order: diversity, after the ranker has spoken."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def cap_per_category(
    order: npt.NDArray[np.int64], categories: npt.NDArray[np.int32], most: int
) -> npt.NDArray[np.int64]:
    """`order` with at most `most` items of one category up front; the others follow behind, none is dropped.

    `categories[k]` is the code of candidate `k`; code 0 (unknown) and `most` = 0 know no cap.
    """
    if most == 0:
        return order
    codes = categories[order]
    by_code = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(codes[by_code]) != 0]) if len(codes) else np.zeros(0, int)
    nth = np.empty(len(codes), np.int64)
    nth[by_code] = np.arange(len(codes)) - np.repeat(starts, np.diff(np.r_[starts, len(codes)]))
    late = (nth >= most) & (codes != 0)
    return np.concatenate([order[~late], order[late]])
