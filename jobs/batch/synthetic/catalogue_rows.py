"""Users and items of a world as Arrow rows: the data of a shop, and the ground truth that a shop does not have."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from headrace.tables import FLOATS, STRINGS, TIME
from jobs.batch.synthetic.draws import Ints
from jobs.batch.synthetic.names import ADJECTIVES, category_path, item_ids, leaf_names, user_ids
from jobs.batch.synthetic.showing import Policy
from jobs.batch.synthetic.world import World

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ITEM_TEXTS = ("item_id", "title", "category_1", "category_2", "category_3", "brand", "maker", "text")
ITEM_SCHEMA = pa.schema(
    [*((name, pa.string()) for name in _ITEM_TEXTS), ("price", pa.float64()), ("available", pa.bool_())]
)
USER_SCHEMA = pa.schema([(name, pa.string()) for name in ("user_id", "age", "country", "household_size", "joined")])
ITEM_GROUND_TRUTH = pa.schema(
    [
        ("item_id", pa.string()),
        ("factors", FLOATS),
        ("quality", pa.float64()),  # in logits
        ("popularity", pa.float64()),  # probability among the popular items of its lane
        ("appears_at", TIME),
    ]
)
USER_GROUND_TRUTH = pa.schema(
    [("user_id", pa.string()), ("factors", FLOATS), ("favourite_categories", STRINGS), ("appears_at", TIME)]
)
_AGES = pa.array(["18-24", "25-34", "35-44", "45-54", "55-64", "65+"])
_COUNTRIES = pa.array(["AT", "DE", "FR", "IT", "NL"])
_BRANDS = 40


def item_rows(policy: Policy, item: Ints) -> pa.RecordBatch:
    """Rows of the items file; brand and words go with the category, so that content reflects preferences."""
    tastes, draws = policy.tastes, policy.tastes.world.draws
    leaf = tastes.leaf(item).tolist()
    adjective = draws.below(len(ADJECTIVES), "item/adjective", item).tolist()
    brand = ((np.asarray(leaf) * 7 + draws.below(5, "item/brand", item)) % _BRANDS).tolist()
    paths = [category_path(each) for each in leaf]
    words = [ADJECTIVES[each] for each in adjective]
    titles = [f"{word} {path[0]} {number}" for word, path, number in zip(words, paths, item.tolist(), strict=True)]
    texts = [f"{word} {path[1].lower()}, from {path[2]}." for word, path in zip(words, paths, strict=True)]
    levels = [pa.array([path[level] for path in paths]) for level in range(3)]
    columns = [
        item_ids(item),
        pa.array(titles),
        *levels,
        pa.array([f"Brand {each + 1}" for each in brand]),
        pa.array([f"Maker {each % 9 + 1}" for each in brand]),
        pa.array(texts),
        pa.array(tastes.price(item)),
        pa.array(draws.uniform("item/available", item) < 0.97),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=ITEM_SCHEMA)


def user_rows(policy: Policy, user: Ints) -> pa.RecordBatch:
    """Rows of the users file."""
    world = policy.tastes.world
    joined = _times(world, world.user_appears(user)).cast(pa.date32()).cast(pa.string())
    columns = [
        user_ids(user),
        _AGES.take(pa.array(world.draws.below(len(_AGES), "user/age", user))),
        _COUNTRIES.take(pa.array(world.draws.below(len(_COUNTRIES), "user/country", user))),
        pa.array(1 + world.draws.below(5, "user/household", user)).cast(pa.string()),
        joined,
    ]
    return pa.RecordBatch.from_arrays(columns, schema=USER_SCHEMA)


def item_ground_truth(policy: Policy, item: Ints) -> pa.RecordBatch:
    """Ground truth of the items: why they are liked and shown."""
    tastes = policy.tastes
    columns = [
        item_ids(item),
        pa.array(list(tastes.item_vectors(item).astype(np.float32)), FLOATS),
        pa.array(tastes.quality(item)),
        pa.array(policy.popularity(item)),
        _times(tastes.world, tastes.world.item_appears(item)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=ITEM_GROUND_TRUTH)


def user_ground_truth(policy: Policy, user: Ints) -> pa.RecordBatch:
    """Ground truth of the users: their preferences."""
    tastes = policy.tastes
    names = np.asarray(leaf_names(tastes.world.leaves).to_pylist(), dtype=object)[tastes.favourites(user)]
    columns = [
        user_ids(user),
        pa.array(list(tastes.user_vectors(user).astype(np.float32)), FLOATS),
        pa.array(names.tolist(), STRINGS),
        _times(tastes.world, tastes.world.user_appears(user)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=USER_GROUND_TRUTH)


def _times(world: World, seconds: Ints) -> pa.Array:
    start = (world.start - _EPOCH).days * 86_400
    return pa.array((seconds + start) * 1_000_000).cast(TIME)
