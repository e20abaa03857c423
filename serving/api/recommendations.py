"""`GET /recommendations`: from a checked request to the answer."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, NamedTuple
from uuid import uuid4

import orjson

from headrace.features.context import DEVICE, SURFACE, context_features
from headrace.settings import Settings
from headrace.tables import microseconds
from serving.api.problems import ProblemError
from serving.api.requests import RecommendationRequest
from serving.log.event_log import EventLog
from serving.log.metrics import ANSWERS, FALLBACKS, STAGE_SECONDS, WAITING
from serving.overload.admission import Admission, OverloadedError, Tier
from serving.overload.cheaper_lists import CheaperLists
from serving.overload.pace import Pace, QueueFullError
from serving.processes.ranking_messages import RankingRequest, StoredRows
from serving.processes.worker_process import ProcessEndedError
from serving.state.live_release import LiveRelease
from serving.state.user_store import StoreAwayError, UserStore

PROPENSITY = 1.0
"""Probability with which a list was shown: the order is deterministic, so always 1."""

OVERLOAD = "overload"
"""`fallback` of every answer that is cheaper than a full one because there was no time for that."""

_LONGEST_SECONDS = 1.0
"""So long an admitted request waits for the store and its ranking process, whatever keeps them."""
_LONGEST_WAIT_SECONDS = 2.0
_NAMES = {Tier.CACHED: "an earlier list", Tier.POPULAR: "popular items"}
_ANSWERS = {tier: ANSWERS.labels(tier) for tier in Tier}
_WAITING = {name: WAITING.labels(name) for name in ("ranking", "cheaper list")}
_STAGES = {name: STAGE_SECONDS.labels(name) for name in ("store", "candidates", "rank")}


class Shown(NamedTuple):
    """The list of an answer, and how it came about."""

    tier: Tier
    recommendations: bytes
    item_ids: bytes
    candidates_generated: int
    fallback: str | None


class Recommendations:
    """Answers requests: with a ranking process, the online store and, for what was shown, the event log."""

    def __init__(self, settings: Settings, live: LiveRelease, store: UserStore, log: EventLog) -> None:
        serving = settings.serving
        self._live = live
        self._store = store
        self._log = log
        self._candidates = {Tier.FULL: serving.candidates, Tier.FEWER_CANDIDATES: serving.overload_candidates}
        self._admission = Admission(serving.ranking_processes, serving.deadline_ms / 1000)
        self._cheaper = CheaperLists(serving)
        self._pace = Pace(serving.overload_share, serving.max_waiting, _LONGEST_WAIT_SECONDS)
        self._impressions_topic = settings.kafka.impressions_topic if serving.log_impressions else None

    async def answer(self, request: RecommendationRequest) -> dict[str, Any]:
        """The answer's JSON object.

        Raises ProblemError for an unknown item, while no release is loaded, and where not even a cheaper list can be
        given in time.
        """
        start = perf_counter()
        if self._live.ranking is None:
            raise ProblemError(503, "", f"not ready: {self._live.reason}")
        try:
            release_id, shown = await self._ranked(request)
        except (OverloadedError, ProcessEndedError, TimeoutError) as error:
            release_id, shown = await self._not_ranked(request, error)
        request_id = uuid4().hex
        answer = {
            "user_id": request.user_id,
            "context": request.context,
            "recommendations": orjson.Fragment(shown.recommendations),
            "candidates_generated": shown.candidates_generated,
            "latency_ms": 0.0,
            "release_id": release_id,
            "request_id": request_id,
            "fallback": shown.fallback,
            "tier": shown.tier,
        }
        _ANSWERS[shown.tier].inc()
        if shown.fallback is not None:
            FALLBACKS.labels(shown.fallback.partition(":")[0]).inc()
        if self._impressions_topic:
            self._log.note(self._impressions_topic, request.subject_id, _impression(request, answer, shown.item_ids))
        answer["latency_ms"] = round((perf_counter() - start) * 1000, 3)
        return answer

    async def _ranked(self, request: RecommendationRequest) -> tuple[str, Shown]:
        """Release and list. Raises OverloadedError, ProcessEndedError, TimeoutError, ProblemError."""
        with _WAITING["ranking"].track_inprogress():
            tier = await self._admission.enter()
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                rows, away = await self._user(request.subject_id)
                ranking = self._live.ranking
                assert ranking is not None  # noqa: S101 - once there is one, there always is
                ranked = await ranking.rank(
                    RankingRequest(
                        request.subject_id, rows, request.resembled_id, request.limit, self._candidates[tier]
                    )
                )
        finally:
            self._admission.leave()
        if ranked is None:
            raise ProblemError(404, "item_id", f"the live release knows no item {request.item_id!r}")
        self._admission.took(tier, ranked.seconds)
        _STAGES["candidates"].observe(ranked.candidates_seconds)
        _STAGES["rank"].observe(ranked.ranking_seconds)
        release_id = ranking.loaded.release_id
        away = "online row unreadable" if ranked.unreadable else away
        if away is None:
            self._cheaper.keep(request.list_key, release_id, ranked)
            fallback = OVERLOAD if tier is Tier.FEWER_CANDIDATES and not ranked.is_popular else None
        else:
            fallback = f"{away}: {'popular items' if ranked.is_popular else 'not personal'}"
        if ranked.is_popular:
            tier = Tier.FULL if away is None else Tier.POPULAR
        return release_id, Shown(tier, ranked.recommendations, ranked.item_ids, ranked.candidates_generated, fallback)

    async def _not_ranked(self, request: RecommendationRequest, error: Exception) -> tuple[str, Shown]:
        """Release and a cheaper list. Raises ProblemError."""
        try:
            with _WAITING["cheaper list"].track_inprogress():
                await self._pace.turn()
        except QueueFullError:
            raise ProblemError(503, "", "overload: too many requests wait; ask again in a moment") from None
        ranking = self._live.ranking
        assert ranking is not None  # noqa: S101 - once there is one, there always is
        found = self._cheaper.of(request.list_key, ranking.loaded)
        is_away = isinstance(error, ProcessEndedError)
        fallback = f"ranking unavailable: {_NAMES[found.tier]}" if is_away else OVERLOAD
        return ranking.loaded.release_id, Shown(*found, fallback)

    async def _user(self, subject_id: str) -> tuple[StoredRows | None, str | None]:
        """The user's rows, or why there are none: the store is unavailable."""
        start = self._store.clock.seconds()
        try:
            return await self._store.read(subject_id), None
        except StoreAwayError as error:
            return None, str(error)
        finally:
            _STAGES["store"].observe(self._store.clock.seconds() - start)


def _impression(request: RecommendationRequest, answer: dict[str, Any], item_ids: bytes) -> bytes:
    """What was shown, and when and where; to be joined with what happens: by `request_id` and `position`."""
    now = datetime.now(UTC)
    number = len(orjson.loads(item_ids))
    context = context_features(microseconds(now), {SURFACE: request.context, DEVICE: request.device})
    return orjson.dumps(
        {
            "request_id": answer["request_id"],
            "user_id": request.user_id,
            "session_id": request.session_id,
            "context": request.context,
            "about_item_id": request.item_id,
            "timestamp": now.isoformat(timespec="microseconds"),
            **context._asdict(),
            "release_id": answer["release_id"],
            "items": orjson.Fragment(item_ids),
            "positions": list(range(number)),
            "propensities": [PROPENSITY] * number,
            "fallback": answer["fallback"],
            "tier": answer["tier"],
        }
    )
