"""What is answered when a request cannot be ranked in time: the person's list of minutes ago, or the popular one."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from time import monotonic
from typing import NamedTuple

import orjson

from headrace.settings.engines import ServingSettings
from serving.overload.admission import Tier
from serving.processes.ranking_messages import LoadedRelease, RankedItems


class ListKey(NamedTuple):
    """Whose list, of what, how long."""

    subject_id: str
    item_id: str | None
    limit: int


class CheaperList(NamedTuple):
    """A list that takes no ranking."""

    tier: Tier
    recommendations: bytes
    item_ids: bytes
    candidates_generated: int


class CheaperLists:
    """The newest ranked lists, up to `cached_lists` of them, and behind them the popular list of the release."""

    def __init__(self, settings: ServingSettings) -> None:
        self._most = settings.cached_lists
        self._seconds = settings.cached_list_seconds
        self._kept: OrderedDict[ListKey, tuple[float, str, CheaperList]] = OrderedDict()

    def keep(self, key: ListKey, release_id: str, ranked: RankedItems) -> None:
        """Remember a list that was just ranked."""
        content = CheaperList(Tier.CACHED, ranked.recommendations, ranked.item_ids, ranked.candidates_generated)
        self._kept[key] = monotonic(), release_id, content
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def of(self, key: ListKey, release: LoadedRelease) -> CheaperList:
        """The kept list of that key, made by `release` and not too old; else the popular one, without the item."""
        kept = self._kept.get(key)
        if kept is not None and kept[1] == release.release_id and monotonic() - kept[0] < self._seconds:
            return kept[2]
        return popular_list(release, key.item_id, key.limit)


@lru_cache(maxsize=256)
def popular_list(release: LoadedRelease, item_id: str | None, limit: int) -> CheaperList:
    """The release's popular list, cut to `limit`, without an item."""
    entries = [one for one in orjson.loads(release.popular.recommendations) if one["item_id"] != item_id]
    shown = entries[:limit]
    return CheaperList(
        Tier.POPULAR,
        orjson.dumps(shown),
        orjson.dumps([one["item_id"] for one in shown]),
        release.popular.candidates_generated,
    )
