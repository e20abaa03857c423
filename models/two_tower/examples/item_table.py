"""The items of a bundle: table, vocabularies and popular lists."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.errors import BadInputError
from headrace.features.promotion_calendar import promoted_shares
from headrace.features.user_tower import PROFILE_PREFIX
from headrace.release.catalogue import (
    CODE_COLUMNS,
    DISPLAY_TITLE,
    NUMBER_COLUMNS,
    PROMOTION_COLUMNS,
    SURPRISE,
    offered_items,
)
from headrace.tables import GOLD_ITEM_FEATURES, SILVER_ITEM_STATES, SILVER_ITEMS, TIME, Table, end_of
from models.baselines import Trending, read_interactions
from models.training.gold import Lake

POPULAR_LENGTH = 2000
POPULAR_PER_CATEGORY = 500
VOCABULARY_COLUMNS = ("types", "profile_keys", "profile_values")
_TEXTS = ("title", *CODE_COLUMNS, "text")
_STATES = ("price", "available", "promotion", "blocked")
_MISSING = {"price": float("nan"), "age_days": float("nan")}


def item_table(lake: Lake, day: date, known_on: date | None = None) -> pa.Table:
    """The catalogue of `day`, sorted by id: descriptions, states and features as of its end.

    With `known_on` states, promotions and features are those of the end of that earlier day instead; the rows are those
    of `day` in both cases, so that a row number means the same item. An item without text, states or features
    keeps its row: it is available and not blocked. Raises BadInputError if there are no items.
    """
    states = _current_at(lake, SILVER_ITEM_STATES, _STATES, end_of(known_on or day))
    states = states.rename_columns(["item_id", *("list_price" if name == "price" else name for name in _STATES)])
    described = _current_at(lake, SILVER_ITEMS, (*_TEXTS, "extra"), end_of(day))
    current = described.join(states, keys="item_id", join_type="left outer")
    features = lake.read(GOLD_ITEM_FEATURES, day, ["item_id", *NUMBER_COLUMNS])
    if known_on:
        same_items = features.select(["item_id"])
        earlier = lake.read(GOLD_ITEM_FEATURES, known_on, ["item_id", *NUMBER_COLUMNS])
        features = same_items.join(earlier, keys="item_id", join_type="left outer")
    joined = current.join(features, keys="item_id", join_type="full outer").sort_by("item_id")
    if not joined.num_rows:
        raise BadInputError("the catalogue is empty", "Import items or events with items first")
    columns = {"item_id": joined.column("item_id")}
    columns["title"] = pc.coalesce(joined.column("title"), joined.column("item_id"))
    columns[DISPLAY_TITLE] = _display_titles(joined.column("extra"))
    columns |= {name: joined.column(name) for name in _TEXTS[1:]}
    columns["available"] = pc.fill_null(joined.column("available"), True)
    columns["blocked"] = pc.fill_null(joined.column("blocked"), False)
    columns["promotion"] = joined.column("promotion")
    for name in NUMBER_COLUMNS:
        columns[name] = pc.fill_null(joined.column(name), pa.scalar(_MISSING.get(name, 0.0), pa.float32()))
    known = pc.is_finite(columns["price"])
    listed = pc.fill_null(joined.column("list_price").cast(pa.float32()), float("nan"))
    columns["price"] = pc.if_else(known, columns["price"], listed)
    columns |= _promotions(lake, known_on or day, joined.column("item_id").combine_chunks())
    return pa.table(columns).combine_chunks()


def _display_titles(extra: pa.ChunkedArray) -> pa.Array:
    """[items]: the title that the items file wants shown; null where it names none."""
    known = [json.loads(fields) if fields and DISPLAY_TITLE in fields else {} for fields in extra.to_pylist()]
    return pa.array([fields.get(DISPLAY_TITLE) for fields in known], pa.string())


def _promotions(lake: Lake, day: date, item_ids: pa.StringArray) -> dict[str, pa.Array]:
    """Where each item is promoted after `day` and before, as was known at the end of `day`."""
    known = _current_at(lake, SILVER_ITEM_STATES, ("promotion_calendar",), end_of(day))
    rows = pc.index_in(known.column("item_id"), value_set=item_ids)
    known = known.append_column("row", rows).filter(pc.and_(pc.is_valid(rows), pc.is_valid(known.column(1))))
    shares = np.zeros((len(item_ids), len(PROMOTION_COLUMNS)), np.float32)
    shares[known.column("row").to_numpy()] = promoted_shares(known.column("promotion_calendar").to_pylist(), day)
    return {name: pa.array(column) for name, column in zip(PROMOTION_COLUMNS, shares.T, strict=True)}


def with_surprise(items: pa.Table, lake: Lake, day: date) -> pa.Table:
    """The items with their score in the trending baseline at the end of `day`; 0 for items without events.

    It reads the five columns of all events that the baseline needs, about 40 bytes an event.
    """
    events = read_interactions(lake, end_of(day))
    scores = pa.array(Trending().fit(events).scores(np.zeros(1, np.int64))[0])
    index = pc.index_in(items.column("item_id"), value_set=pa.array(events.item_ids, pa.string()))
    return items.append_column(SURPRISE, pc.fill_null(scores.take(index.combine_chunks()), 0.0))


def build_vocabularies(items: pa.Table, examples: Iterable[pa.Table]) -> dict[str, list[str]]:
    """Values by name, most frequent first: item columns, event types and profile keys of the training window.

    `examples` are parts of `gold.retrieval_examples` with the columns of `VOCABULARY_COLUMNS`.
    """
    vocabularies = {name: _by_frequency(Counter(items.column(name).to_pylist())) for name in CODE_COLUMNS}
    types: Counter[str] = Counter()
    profiles: dict[str, Counter[str]] = defaultdict(Counter)
    for part in examples:
        flat = {name: pc.list_flatten(part.column(name)) for name in VOCABULARY_COLUMNS}
        types.update(_counts(flat["types"]))
        keys, values = flat["profile_keys"].to_pylist(), flat["profile_values"].to_pylist()
        for key, value in zip(keys, values, strict=True):
            profiles[key][value] += 1
    vocabularies["event_types"] = _by_frequency(types)
    vocabularies |= {PROFILE_PREFIX + key: _by_frequency(profiles[key]) for key in sorted(profiles)}
    return vocabularies


def popular_table(items: pa.Table) -> pa.Table:
    """Items on offer by distinct buyers of the last weeks: one list of all ("") and one per category_1."""
    offered = offered_items(items)
    numbers = [items.column(name).to_numpy() for name in ("users_total", "trend_popularity", "popularity")]
    order = np.lexsort([np.arange(items.num_rows), *(-number for number in numbers)])
    order = order[offered[order]]
    category = np.asarray([value or "" for value in items.column("category_1").to_pylist()], object)
    lists = {"": order[:POPULAR_LENGTH]}
    for name in sorted(set(category) - {""}):
        lists[str(name)] = order[category[order] == name][:POPULAR_PER_CATEGORY]
    return pa.table(
        {
            "list": pa.array([name for name, rows in lists.items() for _ in rows], pa.string()),
            "rank": pa.array(np.concatenate([np.arange(1, len(rows) + 1) for rows in lists.values()]), pa.int32()),
            "item_row": pa.array(np.concatenate(list(lists.values())), pa.int32()),
        }
    )


def _current_at(lake: Lake, table: Table, columns: Iterable[str], as_of: datetime) -> pa.Table:
    """The id and `columns` of the version of each item that held at `as_of`."""
    versions = lake.read(table, columns=["item_id", *columns, "valid_from", "valid_to"])
    moment = pa.scalar(as_of, TIME)
    begun = pc.less_equal(versions.column("valid_from"), moment)
    lasts = pc.fill_null(pc.greater(versions.column("valid_to"), moment), True)
    return versions.filter(pc.and_(begun, lasts)).select(["item_id", *columns])


def write_arrow(table: pa.Table, path: Path) -> None:
    """An Arrow IPC file, readable by memory map."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _counts(values: pa.Array) -> dict[str, int]:
    counted = pc.value_counts(values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values)
    return dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))


def _by_frequency(counts: Mapping[str | None, int] | Mapping[str, int]) -> list[str]:
    known = [(value, count) for value, count in counts.items() if value]
    return [value for value, _ in sorted(known, key=lambda pair: (-pair[1], pair[0]))]
