"""`GET /recommendations`: from a checked request to the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Any
from uuid import uuid4

import orjson

from headrace.events import MAX_ID_LENGTH, id_text
from headrace.events.subjects import subject_key
from headrace.features.context import DEVICE, SURFACE, UNKNOWN, context_features
from headrace.features.online_store import LiveRow
from headrace.features.user_row import UserRow
from headrace.settings import Settings
from headrace.tables import microseconds
from serving.event_log import EventLog
from serving.live_release import LiveRelease
from serving.metrics import FALLBACKS, STAGE_SECONDS
from serving.problems import ProblemError
from serving.recommender import RankedList, Recommender
from serving.user_store import StoreAwayError, UserStore

CONTEXTS = ("homepage", "related")
DEFAULT_LIMIT = 20
MAX_DEVICE_LENGTH = 64
PROPENSITY = 1.0
"""Probability with which a list was shown: the order is deterministic, so always 1."""

_AT_ONCE = 4
"""Requests past the gate: ranking holds the event loop, and more of them waiting for each other would look like a slow
store to the store's timeout."""
_STAGES = {name: STAGE_SECONDS.labels(name) for name in ("store", "candidates", "rank")}


@dataclass(frozen=True)
class Question:
    """A request whose fields are in order."""

    user_id: str | None
    session_id: str | None
    context: str
    limit: int
    item_id: str | None
    device: str = UNKNOWN

    @property
    def subject_id(self) -> str:
        """Key of the person in the online store."""
        return subject_key(self.user_id, self.session_id)


def read_question(parameters: Mapping[str, str], max_limit: int) -> Question:
    """The question in a request's query parameters, or ProblemError naming the field that is wrong.

    Read by hand, because this is the one route whose microseconds count.
    """
    context = parameters.get("context", CONTEXTS[0])
    if context not in CONTEXTS:
        raise ProblemError(400, "context", f"{context[:80]!r} is no context here: use {' or '.join(CONTEXTS)}")
    ids = {name: id_text(parameters.get(name)) for name in ("user_id", "session_id", "item_id")}
    if not (ids["user_id"] or ids["session_id"]):
        raise ProblemError(422, "user_id", "give a user_id, or a session_id for a visitor who is not signed in")
    for name, value in ids.items():
        if value is not None and len(value) > MAX_ID_LENGTH:
            raise ProblemError(422, name, f"{len(value)} characters, at most {MAX_ID_LENGTH}")
    if context == "related" and not ids["item_id"]:
        raise ProblemError(422, "item_id", "the context related needs the item_id that the list should resemble")
    limit = parameters.get("limit", str(DEFAULT_LIMIT))
    if not (limit.isascii() and limit.isdigit() and len(limit) < 10 and 1 <= int(limit) <= max_limit):
        raise ProblemError(422, "limit", f"{limit[:80]!r} is no whole number from 1 to {max_limit}")
    device = parameters.get("device", UNKNOWN)
    if len(device) > MAX_DEVICE_LENGTH:
        raise ProblemError(422, "device", f"{len(device)} characters, at most {MAX_DEVICE_LENGTH}")
    return Question(context=context, limit=int(limit), device=device, **ids)


class Recommendations:
    """Answers questions with the live release, the online store and, for what was shown, the event log."""

    def __init__(self, settings: Settings, live: LiveRelease, store: UserStore, log: EventLog) -> None:
        self._live = live
        self._store = store
        self._log = log
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._impressions_topic = settings.kafka.impressions_topic if settings.serving.log_impressions else None

    async def answer(self, question: Question) -> dict[str, Any]:
        """The answer's JSON object. Raises ProblemError for an unknown item or while no release is loaded."""
        start = perf_counter()
        async with self._gate:
            recommender = self._live.recommender
            if recommender is None:
                raise ProblemError(503, "", f"not ready: {self._live.reason}")
            item_row = _row_of(recommender, question)
            row, live_row, fallback = await self._user(question.subject_id, personal=item_row is None)
            ranked, reasons = _ranked(recommender, row, live_row, question.limit, item_row)
        items = [recommender.catalogue.item_ids[place] for place in ranked.rows.tolist()]
        request_id = uuid4().hex
        _STAGES["candidates"].observe(ranked.candidates_seconds)
        _STAGES["rank"].observe(ranked.ranking_seconds)
        answer = {
            "user_id": question.user_id,
            "context": question.context,
            "recommendations": [
                {"item_id": item, "score": score, "reason": reason}
                for item, score, reason in zip(items, ranked.scores.tolist(), reasons, strict=True)
            ],
            "candidates_generated": ranked.candidates_generated,
            "latency_ms": 0.0,
            "release_id": recommender.release.release_id,
            "request_id": request_id,
            "fallback": fallback,
        }
        if self._impressions_topic:
            self._log.note(self._impressions_topic, question.subject_id, _impression(question, answer, items))
        answer["latency_ms"] = round((perf_counter() - start) * 1000, 3)
        return answer

    async def _user(self, subject_id: str, *, personal: bool) -> tuple[UserRow, LiveRow | None, str | None]:
        """The user's rows; empty ones and the sentence to answer with where the store is away."""
        start = perf_counter()
        try:
            return *await self._store.read(subject_id), None
        except StoreAwayError as error:
            FALLBACKS.labels(str(error)).inc()
            return UserRow(subject_id, as_of=0), None, f"{error}: {'popular items' if personal else 'not personal'}"
        finally:
            _STAGES["store"].observe(perf_counter() - start)


def _ranked(
    recommender: Recommender, row: UserRow, live_row: LiveRow | None, limit: int, item_row: int | None
) -> tuple[RankedList, list[str]]:
    user = recommender.up_to_date(row, live_row)
    if item_row is not None:
        ranked = recommender.related(user, item_row, limit)
        return ranked, recommender.reasons.related(item_row, len(ranked.rows))
    if not user.is_known:
        ranked = recommender.popular(limit)
        return ranked, [recommender.reasons.popular] * len(ranked.rows)
    ranked, own = recommender.for_user(user, recommender.user_vector(user, live_row), limit)
    return ranked, recommender.reasons.for_user(user, own, ranked.rows, ranked.sources)


def _row_of(recommender: Recommender, question: Question) -> int | None:
    if question.context != "related" or question.item_id is None:
        return None
    row = recommender.catalogue.row_of.get(question.item_id)
    if row is None:
        raise ProblemError(404, "item_id", f"the live release knows no item {question.item_id!r}")
    return row


def _impression(question: Question, answer: dict[str, Any], items: list[str]) -> bytes:
    """What was shown, and when and where; to be joined with what happens: by `request_id` and `position`."""
    now = datetime.now(UTC)
    context = context_features(microseconds(now), {SURFACE: question.context, DEVICE: question.device})
    return orjson.dumps(
        {
            "request_id": answer["request_id"],
            "user_id": question.user_id,
            "session_id": question.session_id,
            "context": question.context,
            "about_item_id": question.item_id,
            "timestamp": now.isoformat(timespec="microseconds"),
            **context._asdict(),
            "release_id": answer["release_id"],
            "items": items,
            "positions": list(range(len(items))),
            "propensities": [PROPENSITY] * len(items),
            "fallback": answer["fallback"],
        }
    )
