"""What the offline side of serving reads of the lake: users with their rows, and everything they ever took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.errors import BadInputError
from headrace.features.user_row import UserRow, user_row
from headrace.outcomes import OUTCOME_COLUMNS
from headrace.settings import Settings
from headrace.tables import GOLD_RANKING_EXAMPLES, GOLD_USER_FEATURES, GOLD_USER_ITEM_FEATURES, Table

Rows = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Holdout:
    """What happened to a user in the holdout, by item id."""

    taken: dict[str, float]
    """Occasions."""
    outcomes: dict[str, tuple[float, ...]]
    """In the order of `OUTCOMES`; without an entry where the table does not know them."""
    shown: dict[str, tuple[int, float]]
    """Place in the list from 0 (-1 unknown) and propensity of the first impression."""


def known_users(settings: Settings, day: date) -> list[str]:
    """Users of the holdout that have a history before it."""
    table = _read(settings, GOLD_RANKING_EXAMPLES, day, ["user_id", "history_types"])
    known = pc.greater(pc.fill_null(pc.list_value_length(table.column("history_types")), 0), 0)
    return list(table.column("user_id").filter(known).to_pylist())


def ranking_examples(settings: Settings, day: date, only: Sequence[str]) -> Iterator[tuple[UserRow, Holdout]]:
    """These users of the holdout as they were before it, in the order of their ids, each with what happened in it."""
    # In an order of their own: that of the files differs from one run of Spark's to the next.
    examples = _read(settings, GOLD_RANKING_EXAMPLES, day, only=only).sort_by("user_id")
    for values in _rows(examples):
        items = values["target_items"]
        columns = [_list(values, name) for name in OUTCOME_COLUMNS]
        places = zip(_list(values, "shown_positions"), _list(values, "shown_propensities"), strict=True)
        yield (
            _user(values),
            Holdout(
                dict(zip(items, values["target_counts"].tolist(), strict=True)),
                dict(zip(items, zip(*columns, strict=True), strict=False)),
                dict(zip(values.get("shown_items") or (), places, strict=False)),
            ),
        )


def _list(values: Mapping[str, Any], name: str) -> list[Any]:
    """Empty where the row is from before there was such a column."""
    found = values.get(name)
    return [] if found is None else list(np.asarray(found).tolist())


def users(settings: Settings, day: date) -> Iterator[UserRow]:
    """Every user's row of a day."""
    return (_user(values) for values in _rows(_read(settings, GOLD_USER_FEATURES, day)))


def own_rows_by_user(
    settings: Settings, day: date, row_of: Mapping[str, int], only: Sequence[str] | None = None
) -> dict[str, Rows]:
    """Per user (of `only`, if given) the rows of all items ever taken; a user's own row keeps only the best 1,000."""
    table = _read(settings, GOLD_USER_ITEM_FEATURES, day, ["user_id", "item_id"])
    if only is not None:
        table = table.filter(pc.is_in(table.column("user_id"), value_set=pa.array(only, pa.string())))
    user_ids, users_of = _encoded(table.column("user_id"))
    item_ids, items_of = _encoded(table.column("item_id"))
    rows = np.fromiter((row_of.get(item, -1) for item in item_ids), np.int32, len(item_ids))[items_of]
    users_of, rows = users_of[rows >= 0], rows[rows >= 0]
    order = np.argsort(users_of, kind="stable")
    ends = np.cumsum(np.bincount(users_of, minlength=len(user_ids)))
    return dict(zip(user_ids, np.split(rows[order], ends[:-1]), strict=True)) if user_ids else {}


def _read(
    settings: Settings, table: Table, day: date, columns: list[str] | None = None, only: Sequence[str] | None = None
) -> pa.Table:
    """The day's rows; with `only`, those of these users, if there are any."""
    import deltalake

    place = f"{settings.lake_root}/{table.path}"
    hint = f"Run the batch jobs for {day} first"
    try:
        found = deltalake.DeltaTable(place)
    except deltalake.exceptions.TableNotFoundError:
        raise BadInputError(f"there is no table {table.path} in {settings.lake_root}", hint) from None
    users = None if only is None else pc.field("user_id").isin(pa.array(only, pa.string()))
    rows = found.to_pyarrow_table(partitions=[("day", "=", day.isoformat())], columns=columns, filters=users)
    if not rows.num_rows and only is None:
        raise BadInputError(f"{table.path} holds nothing for {day}", hint)
    return rows


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Rows as dictionaries; lists of numbers are NumPy slices, because a user has a thousand of them."""
    for batch in table.to_batches(max_chunksize=1000):
        columns = {name: _values(batch.column(name)) for name in batch.schema.names}
        for row in range(batch.num_rows):
            yield {name: column[row] for name, column in columns.items()}


def _values(column: pa.Array) -> Any:
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", tz=column.type.tz)).cast(pa.int64()).to_pylist()
    if pa.types.is_list(column.type) and pa.types.is_primitive(column.type.value_type):
        offsets = column.offsets.to_numpy()
        return np.split(
            column.values.to_numpy(zero_copy_only=False)[offsets[0] : offsets[-1]], offsets[1:-1] - offsets[0]
        )
    return column.to_pylist()


def _user(values: dict[str, Any]) -> UserRow:
    return user_row(values, values["user_id"], values["event_timestamp"])


def _encoded(column: pa.ChunkedArray) -> tuple[list[str], npt.NDArray[np.int64]]:
    encoded = column.combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)
