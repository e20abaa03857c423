"""Ids and words for the numbers of a world."""

from __future__ import annotations

from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from jobs.batch.synthetic.draws import Bools, Ints

DEPARTMENTS = (
    *("Bakery", "Dairy", "Drinks", "Fruit", "Garden", "Household"),
    *("Kitchen", "Pantry", "Pets", "Snacks", "Toys", "Wellness"),
)
STYLES = ("Everyday", "Family", "Fine", "Organic")
ADJECTIVES = ("Amber", "Brisk", "Cosy", "Crisp", "Gentle", "Golden", "Honest", "Lively", "Mellow", "Plain", "Rustic")


def user_ids(user: Ints, missing: Bools | None = None) -> pa.Array:
    """`u17`."""
    return numbered("u", user, missing)


def item_ids(item: Ints, missing: Bools | None = None) -> pa.Array:
    """`i17`."""
    return numbered("i", item, missing)


def session_ids(seed: int, visit: Ints, missing: Bools | None = None) -> pa.Array:
    """`s7v17`: visits of different worlds have different sessions."""
    return numbered(f"s{seed}v", visit, missing)


def numbered(prefix: str, numbers: Ints, missing: Bools | None = None) -> pa.Array:
    """The prefix before each number; null where `missing`."""
    digits = pa.array(numbers, mask=missing).cast(pa.string())
    return pc.binary_join_element_wise(pa.scalar(prefix), digits, "")


def category_path(leaf: int) -> tuple[str, str, str]:
    """Department, aisle and narrowest category of a leaf."""
    department = DEPARTMENTS[leaf % len(DEPARTMENTS)]
    style = STYLES[leaf // len(DEPARTMENTS) % len(STYLES)]
    aisle = f"{style} {department}"
    return department, aisle, f"{aisle} {leaf // (len(DEPARTMENTS) * len(STYLES)) + 1}"


@lru_cache(maxsize=4)
def leaf_names(leaves: int) -> pa.Array:
    """Name of each narrowest category."""
    return pa.array([category_path(leaf)[2] for leaf in range(leaves)])
