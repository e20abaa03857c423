"""Statistics of users and items at the split, for metrics beyond accuracy and for slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.errors import BadInputError
from headrace.tables import GOLD_USER_FEATURES, SILVER_ITEMS, TIME, end_of
from models.metrics.beyond_accuracy import ItemStatistics
from models.metrics.slices import Flags, groups_by_activity, groups_by_profile, item_groups
from models.training.gold import Lake

EXPECTED = 20
"""Number of most popular items that serendipity leaves out, as a user expects them."""
Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class DatasetStatistics:
    """In the user and item numbers of the ground truth."""

    items: ItemStatistics
    user_groups: dict[str, Flags]
    """Members among all users of the ground truth, by the name of the slice."""
    item_groups: dict[str, Flags]
    own_popularity: npt.NDArray[np.float64]
    """[users]: mean popularity of the items each took before; NaN for users without any."""


def read_dataset_statistics(
    lake: Lake,
    day: date,
    user_ids: Sequence[str],
    items: pa.Table,
    order: Rows,
    own: tuple[Rows, Rows, Floats],
    users: int,
    segments: Sequence[str],
) -> DatasetStatistics:
    """`items`: the catalogue with counts and ages; `order`: most popular first; `own`: (user, item, occasions) pairs.

    `segments` are the profile fields to slice users by. Raises BadInputError for a field that no user has.
    """
    popularity, ever, age = (items.column(name).to_numpy() for name in ("popularity", "users_total", "age_days"))
    expected = np.zeros(len(order), bool)
    expected[order[:EXPECTED]] = True
    owners, owned, occasions = own
    taken = np.bincount(owners, minlength=len(user_ids))
    groups = groups_by_activity(np.bincount(owners, occasions, len(user_ids)).astype(np.float64))
    if segments:
        profiles = _profiles(lake, day, user_ids)
        for field in segments:
            if field not in profiles:
                known = ", ".join(sorted(profiles)) or "none"
                raise BadInputError(f"no user has the profile field '{field}'", f"Known fields: {known}")
            groups |= groups_by_profile(field, [profiles[field].get(user) for user in user_ids])
    sums = np.bincount(owners, popularity[owned], len(user_ids))
    return DatasetStatistics(
        ItemStatistics(popularity, ever, users, _categories(lake, day, items.column("item_id")), expected),
        groups,
        item_groups(ever, age),
        np.divide(sums, taken, out=np.full(len(user_ids), np.nan), where=taken > 0),
    )


def _categories(lake: Lake, day: date, item_ids: pa.ChunkedArray) -> Rows:
    """A number per item: its second category, the first where it has no second; −1 if it has none."""
    described = lake.read(SILVER_ITEMS, columns=["item_id", "category_1", "category_2", "valid_from", "valid_to"])
    moment = pa.scalar(end_of(day), TIME)
    current = pc.and_(
        pc.less_equal(described.column("valid_from"), moment),
        pc.fill_null(pc.greater(described.column("valid_to"), moment), True),
    )
    described = described.filter(current)
    names = pc.coalesce(described.column("category_2"), described.column("category_1")).combine_chunks()
    numbers = pc.fill_null(names.dictionary_encode().indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    row = pc.fill_null(pc.index_in(item_ids, value_set=described.column("item_id").combine_chunks()), -1).to_numpy()
    return np.where(row >= 0, np.append(numbers, -1)[row], -1)


def _profiles(lake: Lake, day: date, user_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Value by user, by profile field, of the evaluated users."""
    rows = lake.read(GOLD_USER_FEATURES, day, ["user_id", "profile_keys", "profile_values"])
    rows = rows.filter(pc.is_in(rows.column("user_id"), value_set=pa.array(user_ids, pa.string())))
    profiles: dict[str, dict[str, str]] = {}
    columns = (rows.column(name).to_pylist() for name in rows.column_names)
    for user, keys, values in zip(*columns, strict=True):
        for key, value in zip(keys or (), values or (), strict=True):
            profiles.setdefault(key, {})[user] = value
    return profiles
