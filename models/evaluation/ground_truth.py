"""Ground truth: the items users took after the split, and the targets of each task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headrace.errors import BadInputError
from headrace.events import INTEREST_TYPES
from headrace.events.ids import with_id_texts
from headrace.tables import GOLD_ITEM_FEATURES, GOLD_USER_ITEM_FEATURES, SILVER_EVENTS, TIME, end_of
from models.evaluation.dataset_statistics import DatasetStatistics, read_dataset_statistics
from models.evaluation.splits import require_after
from models.metrics.ranking import Targets
from models.training.bot_filter import without_bots
from models.training.gold import Lake

Task = Literal["all", "new"]
Rows = npt.NDArray[np.int64]
_COUNTS = ("popularity", "trend_popularity", "users_total")
_EVENT_COLUMNS = ("event_type", "user_id", "item_id", "value")


@dataclass(frozen=True)
class Catalogue:
    """Items with an event of interest before the split, by id: only these can be targets."""

    item_ids: list[str]
    popularity: npt.NDArray[np.float32]
    """[items]: distinct users in the recent window."""
    order: Rows
    """Item numbers, most popular first."""

    @property
    def popularity_rank(self) -> Rows:
        """[items]: 1 = most popular."""
        ranks = np.empty(len(self.order), np.int64)
        ranks[self.order] = np.arange(1, len(self.order) + 1)
        return ranks


@dataclass(frozen=True)
class OwnItems:
    """The items each of the evaluated users took before the split, largest decayed count first."""

    users: Rows
    """User number of each pair, ascending."""
    items: Rows
    starts: Rows
    """[users + 1]: user u owns the pairs from starts[u] to starts[u + 1]."""

    def of(self, user: int) -> Rows:
        """Item numbers of one user."""
        return self.items[self.starts[user] : self.starts[user + 1]]


@dataclass(frozen=True)
class TaskGroundTruth:
    """The users of one task and their targets."""

    users: Rows
    """User numbers (into `GroundTruth.user_ids`) of those that have targets."""
    targets: Targets


@dataclass(frozen=True)
class GroundTruth:
    """The data needed to score lists made as of the split."""

    catalogue: Catalogue
    user_ids: list[str]
    own: OwnItems
    tasks: dict[Task, TaskGroundTruth]
    statistics: DatasetStatistics


def read_ground_truth(lake: Lake, day: date, test: Path, segments: Sequence[str] = ()) -> GroundTruth:
    """The ground truth of the events in `test`, all after `day`; users are also sliced by `segments` of profiles.

    Raises BadInputError if there is no target, or an event of `test` is not after all events of the features.
    """
    features = _catalogue_features(lake, day)
    catalogue = _catalogue(features)
    pairs = _test_pairs(test, newest_known_event(lake, day))
    user_ids = sorted(set(pairs.column("user_id").to_pylist()))
    users = _indices(pairs.column("user_id"), user_ids)
    items = _indices(pairs.column("item_id"), catalogue.item_ids)
    known = items >= 0
    users, items = users[known], items[known]
    own, occasions, everybody = _own_items(lake, day, user_ids, catalogue)
    width = len(catalogue.item_ids)
    had = np.isin(users * width + items, own.users * width + own.items)
    tasks: dict[Task, TaskGroundTruth] = {"all": _task(users, items), "new": _task(users[~had], items[~had])}
    if not len(tasks["all"].users):
        raise BadInputError(f"{test}: no event has an item that occurs before {day}", "Use events after that day")
    pairs_taken = (own.users, own.items, occasions)
    statistics = read_dataset_statistics(
        lake, day, user_ids, features, catalogue.order, pairs_taken, everybody, segments
    )
    return GroundTruth(catalogue, user_ids, own, tasks, statistics)


def later_events(lake: Lake, day: date, folder: Path) -> Path:
    """A file of the events of users that the lake has after `day`, without flagged bots. Raises BadInputError if there
    is none."""
    events = lake.read(SILVER_EVENTS, columns=[*_EVENT_COLUMNS, "subject_id", "timestamp"])
    later = pc.greater_equal(events.column("timestamp"), pa.scalar(end_of(day), TIME))
    events = without_bots(lake, events.filter(pc.and_(later, pc.is_valid(events.column("user_id")))))
    if not events.num_rows:
        raise BadInputError(f"the lake has no event after {day}", "Use an earlier day, or a file with --test")
    pq.write_table(events, folder / "later_events.parquet")
    return folder / "later_events.parquet"


def _catalogue_features(lake: Lake, day: date) -> pa.Table:
    features = lake.read(GOLD_ITEM_FEATURES, day, ["item_id", *_COUNTS, "age_days"])
    return features.filter(pc.greater(features.column("users_total"), 0)).sort_by("item_id")


def _catalogue(bought: pa.Table) -> Catalogue:
    recent, longer, ever = (bought.column(name).to_numpy() for name in _COUNTS)
    order = np.lexsort([np.arange(len(recent)), -ever, -longer, -recent])
    return Catalogue(bought.column("item_id").to_pylist(), recent, order)


def newest_known_event(lake: Lake, day: date) -> datetime | None:
    """The time of the newest event that the features of `day` were computed from; None where there is none."""
    times = lake.read(GOLD_USER_ITEM_FEATURES, day, ["last_timestamp"]).column("last_timestamp")
    newest = pc.max(times).as_py()
    return None if newest is None else datetime.fromtimestamp(newest / 1_000_000, UTC)


def _test_pairs(test: Path, known_until: datetime | None) -> pa.Table:
    """Distinct (user_id, item_id) of the events of interest; purchases need a quantity above 0."""
    try:
        columns = [*_EVENT_COLUMNS, *({"timestamp"} & set(pq.read_schema(test).names))]
        events = with_id_texts(pq.read_table(test, columns=columns, partitioning=None), str(test))
    except (OSError, KeyError, pa.ArrowInvalid) as error:
        raise BadInputError(f"{test}: no events in Parquet ({error})", "See docs/event.schema.json") from None
    if known_until and "timestamp" in events.column_names:
        require_after(str(test), events, known_until)
    wanted = pc.is_in(events.column("event_type"), pa.array(sorted(INTEREST_TYPES), pa.string()))
    value = pc.fill_null(events.column("value").cast(pa.float64()), 1.0)
    wanted = pc.and_(wanted, pc.or_(pc.not_equal(events.column("event_type"), "purchase"), pc.greater(value, 0)))
    wanted = pc.and_(wanted, pc.and_(pc.is_valid(events.column("user_id")), pc.is_valid(events.column("item_id"))))
    return events.filter(wanted).group_by(["user_id", "item_id"]).aggregate([])


def _own_items(
    lake: Lake, day: date, user_ids: list[str], catalogue: Catalogue
) -> tuple[OwnItems, npt.NDArray[np.float32], int]:
    """The items the evaluated users took, on how many occasions each, and the number of all users that took an item."""
    pairs = lake.read(GOLD_USER_ITEM_FEATURES, day, ["user_id", "item_id", "count", "decayed_count"])
    users = _indices(pairs.column("user_id"), user_ids)
    items = _indices(pairs.column("item_id"), catalogue.item_ids)
    decayed = pairs.column("decayed_count").to_numpy()
    known = np.flatnonzero((users >= 0) & (items >= 0))
    order = known[np.lexsort([items[known], -decayed[known], users[known]])]
    starts = np.searchsorted(users[order], np.arange(len(user_ids) + 1))
    occasions = pairs.column("count").to_numpy()[order]
    return OwnItems(users[order], items[order], starts), occasions, pc.count_distinct(pairs.column("user_id")).as_py()


def _task(users: Rows, items: Rows) -> TaskGroundTruth:
    evaluated, index = np.unique(users, return_inverse=True)
    order = np.argsort(index, kind="stable")
    counts = np.bincount(index, minlength=len(evaluated))
    return TaskGroundTruth(evaluated, Targets(index[order], items[order], counts))


def _indices(values: pa.ChunkedArray, known: Iterable[str]) -> Rows:
    """Index of each value in `known`; −1 for others."""
    indices = pc.index_in(values.cast(pa.string()), value_set=pa.array(list(known), pa.string()))
    return pc.fill_null(indices, -1).to_numpy().astype(np.int64)
