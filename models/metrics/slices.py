"""For whom, and on what, a model is good: groups of users, and targets of one kind of item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.metrics.ranking import Floats, Ints, PerUser, Targets, score_lists
from models.metrics.resampling import interval

Flags = npt.NDArray[np.bool_]
HEAD_SHARE = 0.8
"""Head items are the most popular ones with this share of all earlier interactions; the rest is the tail."""
NEW_ITEM_DAYS = 28.0
"""An item is new if its first event was at most so many days before the split."""
LEAST_USERS = 5
"""A smaller group is not reported: its mean is not significant, and it may identify the users."""


@dataclass(frozen=True)
class SliceScore:
    """Means over the users of a slice, with the 95 % interval of nDCG."""

    users: int
    recall: float
    ndcg: float
    ndcg_interval: tuple[float, float]


def groups_by_activity(occasions: npt.NDArray[np.floating[Any]]) -> dict[str, Flags]:
    """New users (no event before the split), and the light, middle and heavy third of the others.

    `occasions` [users]: number of earlier occasions of each. A user at a boundary is in the lower third.
    """
    known = occasions > 0
    low, high = np.quantile(occasions[known], [1 / 3, 2 / 3]) if known.any() else (0.0, 0.0)
    return {
        "new users": ~known,
        "light users": known & (occasions <= low),
        "middle users": known & (occasions > low) & (occasions <= high),
        "heavy users": occasions > high if known.any() else known,
    }


def groups_by_profile(field: str, values: Sequence[str | None]) -> dict[str, Flags]:
    """Users by their value of one profile field, `values` [users]; without one they are `<field>: unknown`."""
    known = np.array([value or "unknown" for value in values], object)
    return {f"{field}: {value}": known == value for value in sorted(set(known))}


def item_groups(users_ever: npt.NDArray[np.floating[Any]], age_days: npt.NDArray[np.floating[Any]]) -> dict[str, Flags]:
    """New, head and tail items of the catalogue, by the counts [items] and ages [items] at the split."""
    order = np.argsort(-users_ever, kind="stable")
    taken = users_ever[order].cumsum()
    head = np.zeros(len(order), bool)
    head[order[: int(np.searchsorted(taken, HEAD_SHARE * taken[-1])) + 1 if len(taken) else 0]] = True
    return {"new items": age_days <= NEW_ITEM_DAYS, "head items": head, "tail items": ~head}


def score_user_groups(scores: PerUser, groups: Mapping[str, Flags]) -> dict[str, SliceScore]:
    """The metrics inside each group of users [users]; groups of fewer than `LEAST_USERS` are left out."""
    chosen = {name: members for name, members in groups.items() if members.sum() >= LEAST_USERS}
    return {name: _slice(scores.recall[members], scores.ndcg[members]) for name, members in chosen.items()}


def score_item_groups(lists: Ints, targets: Targets, groups: Mapping[str, Flags], k: int) -> dict[str, SliceScore]:
    """How well the same lists find the targets of each group of items [items], over the users that have one."""
    found = item_group_scores(lists, targets, groups, k)
    return {name: _slice(scores.recall, scores.ndcg) for name, scores in found.items()}


def item_group_scores(lists: Ints, targets: Targets, groups: Mapping[str, Flags], k: int) -> dict[str, PerUser]:
    """The metrics of each user that has a target of the group; groups of fewer than `LEAST_USERS` are left out."""
    found = {}
    for name, members in groups.items():
        wanted = members[targets.items]
        users, index = np.unique(targets.users[wanted], return_inverse=True)
        if len(users) >= LEAST_USERS:
            kept = Targets(index, targets.items[wanted], np.bincount(index, minlength=len(users)))
            found[name] = score_lists(lists[users], kept, k)
    return found


def _slice(recall: Floats, ndcg: Floats) -> SliceScore:
    return SliceScore(len(ndcg), float(recall.mean()), float(ndcg.mean()), interval(ndcg))
