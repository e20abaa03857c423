"""Settings that suit a file of events, by its time span, its size, and whether its times are informative."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypeVar

import numpy as np
from deltalake import DeltaTable

from headrace.errors import BadInputError
from headrace.settings import Settings
from headrace.settings.group import Group
from headrace.settings.jobs import TrainingSettings
from headrace.tables import SILVER_EVENTS

AnyGroup = TypeVar("AnyGroup", bound=Group)

HOLDOUT_SHARE = 0.1
"""Share of the time covered by the file that is kept for the ranker, at most the `holdout_days` of the settings."""
WITHOUT_TIMES: Mapping[str, Any] = {
    "embedding_size": 64,
    "retrieval_negatives": "catalogue",
    "retrieval_optimiser": "adam",
    "retrieval_learning_rate": 0.002,
    "retrieval_temperature": 1.0,
    "retrieval_reorders": True,
    "repeat_weight": 0.0,
    "example_half_life_days": 1e6,
}
"""For data without an order: chosen on MovieLens 100K (docs/notes/sequences.md)."""
IDS_ALONE: Mapping[str, Any] = {
    "id_dropout": 0.0,
    "neighbours": 2_000,
    "ranker_trees": 0,
    "ranker_learning_rate": 0.001,
    "ranker_epochs": 4,
}
"""For items that moreover have only an id: id dropout has no use, and trees have no numbers to split on; the ranker
weighs the scores of the tower and the neighbours."""
LARGEST_CATALOGUE = 20_000
"""Catalogue size up to which all items are negatives in every step of the two-tower."""
EXAMPLES_SEEN = 2_500_000
"""Training examples of the two-tower for data without an order, in at most `MOST_EPOCHS` passes."""
MOST_EPOCHS = 30
HISTORY_WITHOUT_TIMES = 100


@dataclass(frozen=True)
class Accepted:
    """Statistics of a file's accepted events."""

    first: date
    middle: date
    """Median day of the events."""
    last: date
    """The day after the first, where that is the only one."""
    events: int
    items: int


def accepted(settings: Settings) -> Accepted:
    """Of the lake's cleaned events. Raises BadInputError if there is none."""
    found = DeltaTable(f"{settings.lake_root}/{SILVER_EVENTS.path}").to_pyarrow_table(columns=["day", "item_id"])
    if not found.num_rows:
        raise BadInputError(
            "no event of the training file was accepted",
            "The reasons are above; `headrace import --help` has the contract",
        )
    days = np.sort(found.column("day").to_numpy().astype("datetime64[D]"))
    first, middle, last = days[[0, (len(days) - 1) // 2, -1]].tolist()
    return Accepted(
        first, middle, max(last, first + timedelta(days=1)), len(days), len(found.column("item_id").unique())
    )


def fitting(settings: Settings, found: Accepted, *, without_times: bool, ids_alone: bool) -> Settings:
    """`settings` with the windows that suit what was `found`, and without times also the kind of training."""
    if without_times and found.items <= LARGEST_CATALOGUE:
        settings = _without_times(settings, found.events, ids_alone=ids_alone)
    return settings.model_copy(update={"training": _windows(settings.training, found)})


def _windows(training: TrainingSettings, found: Accepted) -> TrainingSettings:
    """Never shorter than in the settings."""
    window = max(training.retrieval_days, (found.last - found.middle).days + 1)
    covered = (found.last - found.first).days
    return training.model_copy(
        update={
            "holdout_days": max(1, min(training.holdout_days, round(covered * HOLDOUT_SHARE))),
            "retrieval_days": window,
            "example_half_life_days": max(training.example_half_life_days, window / 2),
        }
    )


def _without_times(settings: Settings, events: int, *, ids_alone: bool) -> Settings:
    """More passes over fewer events; settings that differ from their default are unchanged."""
    epochs = max(1, min(MOST_EPOCHS, round(EXAMPLES_SEEN / events)))
    training = {**WITHOUT_TIMES, **(IDS_ALONE if ids_alone else {}), "retrieval_epochs": epochs}
    return settings.model_copy(
        update={
            "training": _where_default(settings.training, training),
            "features": _where_default(settings.features, {"history_length": HISTORY_WITHOUT_TIMES}),
        }
    )


def _where_default(group: AnyGroup, update: Mapping[str, Any]) -> AnyGroup:
    fields = type(group).model_fields
    unset = {name: value for name, value in update.items() if getattr(group, name) == fields[name].default}
    return group.model_copy(update=unset)
