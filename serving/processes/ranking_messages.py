"""What an HTTP worker and a ranking process say to each other."""

from __future__ import annotations

from typing import NamedTuple


class StoredRows(NamedTuple):
    """Both hashes of a user as the store gave them; `headrace.features.online_store.decode_user` reads them."""

    features: list[bytes | None]
    live: list[bytes | None]


class RankingRequest(NamedTuple):
    """What is to be ranked."""

    subject_id: str
    rows: StoredRows | None
    """The user's rows; None where the store is unavailable: nothing is known of the user."""
    item_id: str | None
    """The item that the list should resemble; None: a list for the user."""
    limit: int
    candidates: int


class RankedItems(NamedTuple):
    """What is to be answered, as JSON text wherever the asker only hands it on."""

    recommendations: bytes
    """`[{"item_id", "score", "reason"}, …]`."""
    item_ids: bytes
    """`["…", …]`."""
    candidates_generated: int
    candidates_seconds: float
    ranking_seconds: float
    seconds: float
    """All of it, in this process."""
    is_popular: bool
    """Whether it is the popular list, because nothing is known of the user."""
    unreadable: bool
    """Whether the user's rows could not be read."""


class LoadedRelease(NamedTuple):
    """What a ranking process says of its release once it is warm."""

    release_id: str
    content_hash: str
    items: int
    popular: RankedItems
    """The popular list at its full length, for when nothing can be ranked."""
