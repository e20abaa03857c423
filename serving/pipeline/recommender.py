"""One object over one loaded release: from a user's row to a ranked, explained list."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt

from headrace.errors import ReleaseError
from headrace.features.online_store import LiveRow
from headrace.features.own_items import OwnItemFeatures, own_item_features
from headrace.features.ranking import RankingFeatures, Source, ranking_features
from headrace.features.user_row import HistoryEvent, OwnItems, UserRow, with_live_events
from headrace.features.user_tower import UserTower, load_user_tower
from headrace.release.bundle import Release, open_release
from headrace.release.catalogue import Catalogue, load_catalogue
from serving.pipeline.candidates import Candidates, CandidateSources, Mix
from serving.pipeline.index import open_index
from serving.pipeline.ranking import Ranker, open_ranker
from serving.pipeline.reasons import Reasons, unit_vectors
from serving.pipeline.reranking import cap_per_category

Vector = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int32]

_RANKER_SHARE_OF_RELATED = 0.2
"""What the ranker's order adds, at most, to the cosine (-1 to 1) of a related item: enough to settle near ties."""
_WARM_REQUESTS = 5


@dataclass(frozen=True)
class RankedList:
    """Items in the order to show them, and how they came about."""

    rows: Rows
    scores: npt.NDArray[np.float32]
    """Larger is better; comparable within one list only."""
    sources: Rows
    candidates_generated: int
    candidates_seconds: float
    ranking_seconds: float


class Recommender:
    """Lists of one release. Holds no state between calls, so any thread may use it."""

    def __init__(
        self,
        release: Release,
        candidates: int,
        max_per_category: int = 0,
        precision: str = "float",
        *,
        thorough: bool = False,
    ) -> None:
        """Load every part of the release into memory. Raises ReleaseError if one of them does not fit."""
        self.release = release
        self.candidates = candidates
        self.max_per_category = max_per_category
        self.catalogue: Catalogue = load_catalogue(release)
        self.tower: UserTower = load_user_tower(release, self.catalogue.row_of)
        mix = Mix(trending=release.manifest.settings.get("training", {}).get("trending_candidates", 0))
        self.sources = CandidateSources(self.catalogue, open_index(release, thorough=thorough), mix)
        self._ranker: Ranker | None = open_ranker(release, precision) if release.manifest.stage == "full" else None
        features = release.manifest.settings["features"]
        self.history_length = int(features["history_length"])
        self._half_life_days = float(features["affinity_half_life_days"])
        self.reasons = Reasons(self.catalogue, int(features["popularity_days"]))
        self._prior_weight = float(self.tower.vectors([[]], [{}])[0, -1])

    def up_to_date(self, row: UserRow, live: LiveRow | None) -> UserRow:
        """The batch row with the live events in it: as of the newest of both, never of the wall clock."""
        if live is None:
            return row
        return with_live_events(row, live.history, self._half_life_days, self.history_length)

    def user_vector(self, user: UserRow, live: LiveRow | None) -> Vector:
        """The vector of `user` (up to date): the stream's, if this release made it of all this, else a new one."""
        if live is not None and live.holds_vector_of(self.release.release_id, user.history, user.profile):
            return live.vector
        return self.tower.vector(user)

    def candidates_of(
        self, user: UserRow, own: OwnItemFeatures, vector: Vector, number: int, excluded: Rows | None = None
    ) -> tuple[Candidates, RankingFeatures]:
        """Candidates of a user and what the ranker knows of them, exactly as at a request."""
        candidates = self.sources.for_user(own, vector, number, excluded)
        return candidates, self._features(user, own, vector, candidates)

    def for_user(
        self, user: UserRow, vector: Vector, limit: int, *, number: int = 0, excluded: Rows | None = None
    ) -> tuple[RankedList, OwnItemFeatures]:
        """The list of a known user, cut to `limit`, and the user's own items for `explain`.

        `number` candidates are ranked (by default the service's setting); items in `excluded` do not appear. Fewer than
        the setting come from all sources in the same proportions.
        """
        start = perf_counter()
        own = own_item_features(user, self.catalogue)
        number = number or self.candidates
        mix = self.sources.mix.scaled(number / self.candidates) if number < self.candidates else self.sources.mix
        candidates = self.sources.for_user(own, vector, number, excluded, mix)
        found = perf_counter()
        scores = self._required_ranker().scores(self._features(user, own, vector, candidates))
        return self._ordered(candidates, scores, limit, start, found), own

    def related(self, user: UserRow, item_row: int, limit: int, *, number: int = 0) -> RankedList:
        """Items like the one in `item_row`: by similarity of their vectors, near ties settled by the user's ranker.

        `number` candidates are ranked, by default the service's setting.
        """
        start = perf_counter()
        query = self.catalogue.embeddings[item_row].copy()
        query[-1] = self._prior_weight
        candidates = self.sources.related(query, number or self.candidates, item_row)
        found = perf_counter()
        own = own_item_features(user, self.catalogue)
        features = self._features(user, own, self.tower.vector(user), candidates)
        by_ranker = self._required_ranker().scores(features).argsort(kind="stable").argsort(kind="stable")
        similarity = (
            unit_vectors(self.catalogue, candidates.rows) @ unit_vectors(self.catalogue, np.array([item_row]))[0]
        )
        share = by_ranker / max(len(candidates) - 1, 1)
        scores = similarity + np.float32(_RANKER_SHARE_OF_RELATED) * share.astype(np.float32)
        return self._ordered(candidates, scores, limit, start, found)

    def list_for(
        self, user: UserRow, vector: Vector, limit: int, *, number: int = 0, excluded: Rows | None = None
    ) -> RankedList:
        """The list of a user; the popular one where nothing is known of the user."""
        if not user.is_known:
            return self.popular(limit, number=number, excluded=excluded)
        return self.for_user(user, vector, limit, number=number, excluded=excluded)[0]

    def popular(self, limit: int, *, number: int = 0, excluded: Rows | None = None) -> RankedList:
        """The popular list, for users nothing is known of; the score is the number of recent buyers."""
        start = perf_counter()
        rows = self.sources.popular(number or self.candidates, excluded)
        shown = rows[:limit]
        sources = np.full(len(shown), Source.POPULAR, np.int32)
        scores = self.catalogue.numbers["popularity"][shown]
        return RankedList(shown, scores, sources, len(rows), perf_counter() - start, 0.0)

    def warm(self) -> None:
        """Run whole requests, so that the first real one meets warm caches. Raises what a request would raise."""
        rows = self.sources.popular(20).tolist()
        times = np.arange(1, len(rows) + 1, dtype=np.int64)
        ones = np.ones(len(rows), np.float32)
        items = [self.catalogue.item_ids[row] for row in rows]
        history = [
            HistoryEvent(int(time), f"w{time}", item, "purchase") for time, item in zip(times, items, strict=True)
        ]
        user = UserRow("", len(rows), history, OwnItems(items, ones, ones, times, times), len(rows), len(rows))
        for _ in range(_WARM_REQUESTS):
            ranked, own = self.for_user(user, self.user_vector(user, None), 20)
            self.reasons.for_user(user, own, ranked.rows, ranked.sources)
            self.popular(20)
            if rows:
                self.related(user, rows[0], 20)

    def _features(self, user: UserRow, own: OwnItemFeatures, vector: Vector, candidates: Candidates) -> RankingFeatures:
        tower_scores = self.catalogue.embeddings[candidates.rows] @ vector
        return ranking_features(user, own, self.catalogue, candidates.rows, tower_scores, candidates.sources)

    def _required_ranker(self) -> Ranker:
        if self._ranker is None:
            raise ReleaseError(
                f"release {self.release.release_id} is of stage '{self.release.manifest.stage}': it has no ranker",
                "Serve a full release",
            )
        return self._ranker

    def _ordered(
        self, candidates: Candidates, scores: npt.NDArray[np.float32], limit: int, start: float, found: float
    ) -> RankedList:
        order = np.argsort(-scores, kind="stable")
        order = cap_per_category(order, self.catalogue.codes["category_3"][candidates.rows], self.max_per_category)[
            :limit
        ]
        return RankedList(
            candidates.rows[order],
            scores[order],
            candidates.sources[order],
            len(candidates),
            found - start,
            perf_counter() - found,
        )


def load_recommender(
    folder: Path, candidates: int, max_per_category: int = 0, precision: str = "float", *, thorough: bool = False
) -> Recommender:
    """The recommender over the release in `folder`, every file verified; the ranker's `precision` is float or int8.
    A `thorough` one finds the same nearest items however the index was drawn (see `VectorIndex`).

    Raises ReleaseError.
    """
    return Recommender(open_release(folder), candidates, max_per_category, precision, thorough=thorough)
