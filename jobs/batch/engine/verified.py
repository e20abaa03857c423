"""Write, audit, publish: features and training read silver as of the last versions that passed their checks."""

from __future__ import annotations

from headrace.errors import HeadraceError
from headrace.tables import (
    QUALITY_RESULTS,
    SILVER_BOTS,
    SILVER_EVENTS,
    SILVER_ITEM_STATES,
    SILVER_ITEMS,
    SILVER_USERS,
)
from jobs.batch.engine.lake import Lake

SILVER = (SILVER_EVENTS, SILVER_BOTS, SILVER_USERS, SILVER_ITEMS, SILVER_ITEM_STATES)
VERIFIED = "verified"

Versions = dict[str, int]
"""Delta versions by the table's path; -1 where there is no table."""


def current_versions(lake: Lake) -> Versions:
    """The newest versions of silver."""
    return {table.path: lake.version(table) for table in SILVER}


def passed_versions(lake: Lake) -> Versions | None:
    """The versions of silver that passed last, in a commit of `quality.results`.

    None where silver was never checked; empty where no version that passed can be read.
    """
    passed: Versions | None = lake.note(QUALITY_RESULTS, VERIFIED, None)
    return passed


def published_versions(lake: Lake) -> Versions:
    """The versions of silver to read: those that passed last, or the newest where silver was never checked.

    Raises HeadraceError where no version that passed can be read.
    """
    passed = passed_versions(lake)
    if passed is None:
        return current_versions(lake)
    if not passed:
        raise HeadraceError(
            "silver has not passed its checks yet", "`headrace quality` says which rows fail; mend them and check again"
        )
    return passed


def republished(before: Versions, after: Versions, passed: Versions) -> Versions:
    """What passed, once rows were removed from silver: versions from `before` that had passed are those `after`.

    Where newer rows had not passed, the next check looks at everything: the versions before can't be read any longer.
    """
    return after if all(passed.get(path) == version for path, version in before.items()) else {}
