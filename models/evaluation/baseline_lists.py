"""Lists of the baselines for the users and in the item numbers of a ground truth, from the events before its split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from headrace.errors import BadInputError
from headrace.tables import SILVER_ITEMS
from models.baselines import Baseline, Interactions, read_interactions
from models.evaluation.ground_truth import GroundTruth, Task, newest_known_event
from models.evaluation.model_score import LONG
from models.metrics.ranking import NO_ITEM, Ints
from models.training.gold import Lake

_WORDS = ("category_1", "category_2", "category_3", "brand", "text")


def known_interactions(lake: Lake, day: date) -> Interactions:
    """The events that the features of `day` are computed from, with each item's words: categories, brand, text."""
    newest = newest_known_event(lake, day)
    if newest is None:
        raise BadInputError(f"no user has an event of interest before {day}", "Import events, or use a later day")
    described = lake.read(SILVER_ITEMS, columns=["item_id", *_WORDS, "valid_to"])
    described = described.filter(pc.is_null(described.column("valid_to")))
    words = [pc.fill_null(described.column(name), "") for name in _WORDS]
    texts = pa.table({"item_id": described.column("item_id"), "text": pc.binary_join_element_wise(*words, " ")})
    return read_interactions(lake, newest + timedelta(microseconds=1), texts)


def baseline_lists(
    ground_truth: GroundTruth,
    tasks: Sequence[Task],
    events: Interactions,
    models: Sequence[Baseline],
    after: Callable[[Baseline], None] = lambda _model: None,
) -> dict[Task, dict[str, Ints]]:
    """By task and name: [users of the task, 500] item numbers of the ground truth. `after` is called per model."""
    found: dict[Task, dict[str, Ints]] = {task: {} for task in tasks}
    user_of = {user: number for number, user in enumerate(events.user_ids)}
    numbers = np.array([user_of.get(user, -1) for user in ground_truth.user_ids], np.int64)
    item_of = pc.index_in(pa.array(events.item_ids, pa.string()), value_set=pa.array(ground_truth.catalogue.item_ids))
    outside = len(ground_truth.catalogue.item_ids) + np.arange(len(events.item_ids))
    number = np.where(item_of.is_null(), outside, pc.fill_null(item_of, 0).to_numpy()).astype(np.int32)
    for model in models:
        model.fit(events)
        for task in tasks:
            users = numbers[ground_truth.tasks[task].users]
            exclude = own_items(events, users) if task == "new" else None
            lists = model.top(users, LONG, exclude)
            found[task][model.name] = np.where(lists == NO_ITEM, NO_ITEM, number[lists])
        after(model)
    return found


def own_items(events: Interactions, users: npt.NDArray[np.int64]) -> sparse.csr_matrix:
    """[users, items]: the items each user took; none for −1."""
    known = sparse.diags((users >= 0).astype(np.float32))
    own = (known @ events.taken[np.maximum(users, 0)]).tocsr()
    own.eliminate_zeros()
    return own
