"""Leaves out the events of flagged bots, as the batch jobs do for features and training sets."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.tables import SILVER_BOTS
from models.training.gold import Lake


def without_bots(lake: Lake, events: pa.Table) -> pa.Table:
    """The events, in their order, without those of flagged subjects on the days (UTC) they were flagged for.

    `events` has the columns subject_id and timestamp.
    """
    bots = lake.read(SILVER_BOTS, columns=["subject_id", "day"])
    suspects = np.flatnonzero(
        pc.is_in(events.column("subject_id"), value_set=bots.column("subject_id").combine_chunks())
    )
    if not len(suspects):
        return events
    found = events.select(["subject_id", "timestamp"]).take(suspects)
    days = found.column("timestamp").cast(pa.timestamp("us")).cast(pa.date32())
    flagged = pc.is_in(_keys(found.column("subject_id"), days), value_set=_keys(*bots.columns))
    kept = np.ones(events.num_rows, bool)
    kept[suspects] = ~flagged.to_numpy(zero_copy_only=False)
    return events.filter(pa.array(kept))


def _keys(subjects: pa.ChunkedArray, days: pa.ChunkedArray) -> pa.Array:
    return pc.binary_join_element_wise(days.cast(pa.string()), subjects, " ").combine_chunks()
