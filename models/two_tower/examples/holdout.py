"""The users of the holdout as arrays: the tower's inputs, their own items and the items they took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.features.user_row import HistoryEvent
from headrace.features.user_tower import TowerEncoder, TowerInputs
from headrace.release.bundle import ITEMS, Release
from headrace.release.catalogue import read_arrow

Rows = npt.NDArray[np.int32]


@dataclass(frozen=True)
class HoldoutUsers:
    """Users with events in the holdout, as known before it."""

    inputs: TowerInputs
    own: list[Rows]
    """Item rows each user took before."""
    targets: list[Rows]
    """Item rows each user took in the holdout, of items with an event of interest before it."""
    bought: npt.NDArray[np.bool_]
    """[items]: whether it has an event of interest before the holdout; others are neither listed nor counted."""


def read_holdout(
    examples: pa.Table, row_of: Mapping[str, int], bought: npt.NDArray[np.bool_], encoder: TowerEncoder
) -> HoldoutUsers:
    """From rows of `gold.ranking_examples`."""

    def column(name: str) -> list[list[Any]]:
        return [values or [] for values in examples.column(name).to_pylist()]

    histories = [
        [HistoryEvent(time, "", item, kind) for time, item, kind in zip(times, items, kinds, strict=True)]
        for times, items, kinds in zip(
            column("history_timestamps"), column("history_items"), column("history_types"), strict=True
        )
    ]
    profiles = [
        dict(zip(keys, values, strict=True))
        for keys, values in zip(column("profile_keys"), column("profile_values"), strict=True)
    ]
    targets = [_rows(items, row_of) for items in column("target_items")]
    return HoldoutUsers(
        inputs=encoder.encode(histories, profiles),
        own=[_rows(items, row_of) for items in column("own_items")],
        targets=[rows[bought[rows]] for rows in targets],
        bought=bought,
    )


def _rows(items: list[str], row_of: Mapping[str, int]) -> Rows:
    return np.array([row_of[item] for item in items if item in row_of], np.int32)


def count_targets(examples: pa.Table, bundle: Release) -> dict[str, tuple[int, int]]:
    """Number of all and of new targets by user id, of items with an event of interest before the bundle's as_of.

    `examples` has the columns user_id, own_items and target_items of `gold.ranking_examples`.
    """
    items = read_arrow(bundle, ITEMS)
    bought = set(items.filter(pc.greater(items.column("users_total"), 0)).column("item_id").to_pylist())
    counts = {}
    for row in examples.to_pylist():
        targets = bought.intersection(row["target_items"] or ())
        counts[row["user_id"]] = (len(targets), len(targets.difference(row["own_items"] or ())))
    return counts
