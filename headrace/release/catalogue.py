"""The items of a release as columns: ids, codes of categories, popularity, price, embeddings.

The large ones stay in the release's files, mapped into memory: processes over one release share them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.release.bundle import ITEM_EMBEDDINGS, ITEMS, NEIGHBOURS, POPULAR, VOCABULARIES, Release
from headrace.release.neighbours import Neighbours, neighbours_of, no_neighbours
from headrace.release.text_column import TextColumn

CODE_COLUMNS = ("category_1", "category_2", "category_3", "brand", "maker")
"""Columns of the item table that are encoded: index in the vocabulary + 1; 0 = unknown."""
NUMBER_COLUMNS = (
    "popularity",
    "trend_popularity",
    "purchases",
    "users_total",
    "repeat_rate",
    "price",
    "age_days",
)
PROMOTION_COLUMNS = ("promotion_coming", "promotion_past")
"""Of the item table: mean share of stores that promote the item in the weeks to come, and in those before."""
DISPLAY_TITLE = "display_title"
"""Of the item table: what is shown in place of the title, which models learn from; null where it is the same."""
SURPRISE = "surprise"
"""Of the item table, where trending items are candidates: how many more users than before, in standard deviations."""
ITEM_FEATURES = (
    "popularity",  # log1p
    "trend_popularity",  # log1p
    "trend",  # log of recent over usual popularity
    "purchases",  # log1p
    "users_total",  # log1p
    "repeat_rate",
    "price",  # log1p; 0 if unknown
    "age_days",  # log1p; 0 if unknown
    *PROMOTION_COLUMNS,
)
"""What the ranker reads of an item alone."""
UNKNOWN_ROW = -1


@dataclass(frozen=True)
class Catalogue:
    """Columns over the items of one release; the row number is the item's index in all of them."""

    item_ids: Sequence[str]
    titles: Sequence[str]
    row_of: dict[str, int]
    codes: dict[str, npt.NDArray[np.int32]]
    """One int32 array per name of `CODE_COLUMNS`."""
    numbers: dict[str, npt.NDArray[np.float32]]
    """One float32 array per name of `NUMBER_COLUMNS` and `PROMOTION_COLUMNS`, and `SURPRISE` where it is known; price
    and age_days may be NaN."""
    available: npt.NDArray[np.bool_]
    """What may be shown: to be had and not blocked."""
    vocabularies: dict[str, list[str]]
    """Values by name; code 0 = unknown, code k = values[k - 1]."""
    embeddings: npt.NDArray[np.float32]
    """[items, embedding_size], the last dimension is the popularity prior."""
    popular: dict[str, npt.NDArray[np.int32]]
    """Item rows, most popular first: "" = all, else by category_1."""
    neighbours: Neighbours = field(default_factory=no_neighbours)
    """Items that go with each item; none in a release that was made without."""

    def __len__(self) -> int:
        return len(self.item_ids)

    @cached_property
    def item_features(self) -> npt.NDArray[np.float32]:
        """[items, len(ITEM_FEATURES)], finite: computed once, so that a request only gathers rows."""
        logs = {name: np.log1p(self.numbers[name]) for name in NUMBER_COLUMNS}
        logs["trend"] = self.trend
        as_they_are = {name: self.numbers[name] for name in ("repeat_rate", *PROMOTION_COLUMNS)}
        named = {**logs, **as_they_are}
        columns: npt.NDArray[np.float32] = np.stack([named[name] for name in ITEM_FEATURES], axis=1).astype(np.float32)
        columns[~np.isfinite(columns)] = 0.0
        return columns

    @cached_property
    def trend(self) -> npt.NDArray[np.float32]:
        """[items]: log of recent over usual popularity."""
        recent, usual = self.numbers["popularity"], self.numbers["trend_popularity"]
        return np.log((recent + 1) / (usual / 2 + 1))

    @cached_property
    def trending(self) -> npt.NDArray[np.int32]:
        """Rows of trending items, most surprising first; empty in releases without trends."""
        surprise = self.numbers.get(SURPRISE, np.zeros(0, np.float32))
        order = np.argsort(-surprise, kind="stable")
        return order[surprise[order] > 0].astype(np.int32)

    def rows(self, item_ids: Iterable[str]) -> npt.NDArray[np.int32]:
        """Row numbers of the ids; `UNKNOWN_ROW` for ids that are not in the release."""
        return np.fromiter((self.row_of.get(item, UNKNOWN_ROW) for item in item_ids), np.int32)

    def value(self, column: str, row: int) -> str:
        """The text behind a code, e.g. the department of an item; "" if unknown."""
        code = int(self.codes[column][row])
        return self.vocabularies[column][code - 1] if code else ""


def load_catalogue(release: Release) -> Catalogue:
    """The catalogue of an opened release."""
    items = read_arrow(release, ITEMS)
    vocabularies: dict[str, list[str]] = release.json(VOCABULARIES)
    item_ids = TextColumn(items.column("item_id"))
    return Catalogue(
        item_ids=item_ids,
        titles=TextColumn(shown_titles(items)),
        row_of={item: row for row, item in enumerate(item_ids)},
        codes={name: encode(items.column(name).to_pylist(), vocabularies[name]) for name in CODE_COLUMNS},
        numbers=_numbers(items),
        available=offered_items(items),
        vocabularies=vocabularies,
        embeddings=np.asarray(np.load(release.path(ITEM_EMBEDDINGS), mmap_mode="r", allow_pickle=False)),
        popular=_popular_lists(read_arrow(release, POPULAR)),
        neighbours=_neighbours(release, len(item_ids)),
    )


def shown_titles(items: pa.Table) -> pa.ChunkedArray:
    """[rows of an item table]: the title to show: the items file's `display_title`, else `title`."""
    title = items.column("title")
    return pc.coalesce(items.column(DISPLAY_TITLE), title) if DISPLAY_TITLE in items.column_names else title


def _numbers(items: pa.Table) -> dict[str, npt.NDArray[np.float32]]:
    """Zeros in releases from before promotion calendars existed."""
    nothing = np.zeros(items.num_rows, np.float32)
    known = {name for name in (*NUMBER_COLUMNS, *PROMOTION_COLUMNS, SURPRISE) if name in items.column_names}
    numbers = {name: items.column(name).to_numpy(zero_copy_only=False).astype(np.float32) for name in known}
    return {**dict.fromkeys(PROMOTION_COLUMNS, nothing), **numbers}


def offered_items(items: pa.Table) -> npt.NDArray[np.bool_]:
    """Of each row of an item table whether the item may be shown; releases from before there were blocks have none."""
    offered: npt.NDArray[np.bool_] = items.column("available").to_numpy(zero_copy_only=False).astype(bool)
    if "blocked" in items.column_names:
        offered &= ~items.column("blocked").to_numpy(zero_copy_only=False).astype(bool)
    return offered


def read_arrow(release: Release, name: str) -> pa.Table:
    """One of the release's Arrow IPC files, whole."""
    with pa.memory_map(str(release.path(name))) as source:
        return pa.ipc.open_file(source).read_all()


def _neighbours(release: Release, items: int) -> Neighbours:
    if not release.path(NEIGHBOURS).exists():
        return no_neighbours()
    return neighbours_of(read_arrow(release, NEIGHBOURS), items)


def encode(values: Iterable[str | None], vocabulary: list[str]) -> npt.NDArray[np.int32]:
    """Codes of the values: index in the vocabulary + 1, or 0 for unknown and missing ones."""
    code_of = {value: code for code, value in enumerate(vocabulary, start=1)}
    return np.fromiter((code_of.get(value, 0) if value else 0 for value in values), np.int32)


def _popular_lists(table: pa.Table) -> dict[str, npt.NDArray[np.int32]]:
    frame = table.sort_by([("list", "ascending"), ("rank", "ascending")])
    names = np.asarray(frame.column("list").to_pylist(), dtype=object)
    rows = frame.column("item_row").to_numpy().astype(np.int32)
    starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]]) if len(names) else np.zeros(0, int)
    return {str(names[start]): part for start, part in zip(starts, np.split(rows, starts[1:]), strict=True)}
