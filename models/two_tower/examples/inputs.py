"""What a training of retrieval reads, of one state of the lake."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa
from rich.progress import Progress

from headrace.features.user_tower import MOMENT_VOCABULARIES, TowerEncoder
from headrace.settings import Settings
from headrace.tables import GOLD_RANKING_EXAMPLES, GOLD_RETRIEVAL_EXAMPLES, end_of, microseconds
from headrace.user_sample import sample_of
from models.training.gold import Lake
from models.two_tower.examples.holdout import HoldoutUsers, read_holdout
from models.two_tower.examples.item_table import VOCABULARY_COLUMNS, build_vocabularies, item_table
from models.two_tower.examples.parts import SequenceCounts, SequenceParts, count_sequences

HOLDOUT_USERS = 600
"""Retrieval is measured on so many: enough to choose the weight of a prior, and cheap four times an epoch."""
_DAY_US = 86_400_000_000


@dataclass(frozen=True)
class RetrievalInputs:
    """Items, sequences and a sample of the holdout's users."""

    lake: Lake
    day: date
    holdout_day: date
    items: pa.Table
    items_before: pa.Table
    """The same rows with states and features of the day before the holdout."""
    vocabularies: dict[str, list[str]]
    parts: SequenceParts
    seen: SequenceCounts
    encoder: TowerEncoder
    holdout_users: HoldoutUsers
    start: int
    """Microseconds since 1970: start of the training window, of the holdout, and the day's end."""
    before: int
    after: int


def read_inputs(settings: Settings, day: date, progress: Progress) -> RetrievalInputs:
    """Raises BadInputError where a table is missing, or no user has two events."""
    task = progress.add_task("reading gold tables", total=None)
    lake = Lake(settings.lake_root)
    training = settings.training
    holdout_day = day - timedelta(days=training.holdout_days)
    items, items_before = item_table(lake, day), item_table(lake, day, known_on=holdout_day)
    users = training.retrieval_part_users
    vocabularies = build_vocabularies(items, lake.parts(GOLD_RETRIEVAL_EXAMPLES, day, users, VOCABULARY_COLUMNS))
    if training.tower_context:
        vocabularies |= MOMENT_VOCABULARIES
    item_ids = items.column("item_id").to_pylist()
    row_of = {item: row for row, item in enumerate(item_ids)}
    encoder = TowerEncoder(row_of, vocabularies, settings.features.history_length)
    users_of_holdout = lake.read(GOLD_RANKING_EXAMPLES, day, ["user_id"]).column("user_id").to_pylist()
    ranking = lake.of_users(GOLD_RANKING_EXAMPLES, day, sample_of(users_of_holdout, HOLDOUT_USERS))
    parts = SequenceParts(lake, day, users, item_ids, vocabularies, encoder)
    before, after = microseconds(end_of(holdout_day)), microseconds(end_of(day))
    start = before - training.retrieval_days * _DAY_US
    inputs = RetrievalInputs(
        lake=lake,
        day=day,
        holdout_day=holdout_day,
        items=items,
        items_before=items_before,
        vocabularies=vocabularies,
        parts=parts,
        seen=count_sequences(parts, (start, before, after)),
        encoder=encoder,
        holdout_users=read_holdout(ranking, row_of, items_before.column("users_total").to_numpy() > 0, encoder),
        start=start,
        before=before,
        after=after,
    )
    progress.update(task, total=1, completed=1)
    return inputs
