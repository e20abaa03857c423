"""Events of visits as Arrow rows in the event contract's fields."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.tables import SILVER_EVENTS
from jobs.batch.synthetic.draws import Ints
from jobs.batch.synthetic.names import item_ids, leaf_names, numbered, session_ids, user_ids
from jobs.batch.synthetic.showing import Policy
from jobs.batch.synthetic.visits import KINDS, Events, events_of

PROPENSITY = "propensity"
"""Key in an event's `context`: the chance that this item is in this visit's list."""
_GIVEN = ("event_id", "event_type", "user_id", "session_id", "item_id", "timestamp", "value", "price", "query")
EVENT_SCHEMA = pa.schema([SILVER_EVENTS.schema.field(name) for name in (*_GIVEN, "request_id", "position", "context")])
_DEVICES = pa.array(["phone", "tablet", "desktop"])
_DEVICE_UNTIL = (0.6, 0.7)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def event_rows(policy: Policy, visit: Ints) -> pa.RecordBatch:
    """All events of these visits."""
    events = events_of(policy, visit)
    world = policy.tastes.world
    start = (world.start - _EPOCH).days * 86_400_000
    signed_in = events.user >= 0
    from_list = events.position >= 0
    columns = [
        numbered(f"s{world.seed}e", events.number),
        pa.array(KINDS).take(pa.array(events.kind)),
        user_ids(events.user, ~signed_in),
        session_ids(world.seed, events.visit, signed_in),
        item_ids(events.item, events.item < 0),
        pa.array((events.millisecond + start) * 1000),
        pa.array(events.value, mask=np.isnan(events.value)),
        pa.array(events.price, mask=np.isnan(events.price)),
        pc.utf8_lower(leaf_names(world.leaves).take(pa.array(events.leaf, mask=events.leaf < 0))),
        numbered(f"s{world.seed}r", events.visit, ~from_list),
        pa.array(events.position.astype(np.int32), mask=~from_list),
        _context(policy, events),
    ]
    arrays = [column.cast(field.type) for column, field in zip(columns, EVENT_SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=EVENT_SCHEMA)


def _context(policy: Policy, events: Events) -> pa.MapArray:
    """Surface and device of every event, the propensity of impressions and clicks."""
    known = ~np.isnan(events.propensity)
    rows, extra = len(known), int(known.sum())
    device = np.searchsorted(
        _DEVICE_UNTIL, policy.tastes.world.draws.uniform("visit/device", events.visit), side="right"
    )
    surface = pa.array(["homepage", "search"]).take(pa.array(events.searching.astype(np.int8)))
    written = pa.array(events.propensity[known]).cast(pa.string())
    # Values are concatenated by kind (surfaces, devices, propensities), then gathered row by row.
    values = pa.concat_arrays([surface, _DEVICES.take(pa.array(device)), written])
    offsets = np.concatenate([[0], np.cumsum(2 + known)])
    source = np.empty(2 * rows + extra, dtype=np.int64)
    source[offsets[:-1]] = np.arange(rows)
    source[offsets[:-1] + 1] = rows + np.arange(rows)
    source[offsets[:-1][known] + 2] = 2 * rows + np.arange(extra)
    keys = np.minimum(source // max(rows, 1), 2)
    names = pa.array(["surface", "device", PROPENSITY]).take(pa.array(keys))
    return pa.MapArray.from_arrays(pa.array(offsets.astype(np.int32)), names, values.take(pa.array(source)))
