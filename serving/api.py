"""The HTTP service: routes over the recommender, the event log and the online store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi_offline import FastAPIOffline

from headrace.errors import ServiceError
from headrace.settings import Settings, load_settings
from serving import examples
from serving.event_log import EventLog
from serving.intake import BodyTooLargeError, RejectedEvent, check_events, read_body
from serving.live_release import LiveRelease
from serving.metrics import (
    EVENTS_ACCEPTED,
    EVENTS_REJECTED,
    EVENTS_UNACKNOWLEDGED,
    REQUEST_SECONDS,
    REQUESTS,
    metrics_text,
)
from serving.problems import ProblemError, add_problem_handlers, json_response, problem
from serving.recommendations import CONTEXTS, Recommendations, read_question
from serving.user_store import UserStore


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; it loads its release in the background once it has started."""
    service = _Service(settings or load_settings())
    app = FastAPIOffline(
        title="Headrace",
        description="Recommendations from live behaviour, each with the reason for it.",
        lifespan=service.lifespan,
    )
    add_problem_handlers(app)
    app.get("/recommendations", **examples.RECOMMENDATIONS)(service.recommendations)
    app.post("/events", status_code=202, **examples.EVENTS)(service.events)
    app.get("/healthz", summary="Whether the process lives")(service.healthz)
    app.get("/readyz", summary="Whether a release is loaded and warm")(service.readyz)
    app.get("/metrics", summary="Counters and latencies for Prometheus")(service.metrics)
    return app


class _Service:
    """What the routes share: one of each part, made when the event loop runs."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.live = LiveRelease(settings)

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Open the store and the log, follow the champion, and close all of it again."""
        self.store = UserStore(self.settings.store)
        self.log = EventLog(self.settings.kafka, self.settings.serving.kafka_timeout_ms)
        self.answers = Recommendations(self.settings, self.live, self.store, self.log)
        watching = asyncio.create_task(self.live.watch())
        yield
        watching.cancel()
        await self.store.close()
        self.log.close()

    async def recommendations(self, request: Request) -> Response:
        """A ranked list for one user, best first, each item with a reason."""
        start = perf_counter()
        parameters = request.query_params
        label = context if (context := parameters.get("context", CONTEXTS[0])) in CONTEXTS else "unknown"
        status = 500
        try:
            answer = await self.answers.answer(read_question(parameters, self.settings.serving.max_limit))
            status = 200
            return json_response(answer)
        except ProblemError as error:
            status = error.status
            retry = {"Retry-After": "2"} if status == 503 else None
            return problem(status, error.field, error.message, retry)
        finally:
            REQUESTS.labels(label, str(status)).inc()
            REQUEST_SECONDS.labels(label).observe(perf_counter() - start)

    async def events(self, request: Request) -> Response:
        """Accept events once the event log has acknowledged them."""
        serving = self.settings.serving
        try:
            body = await read_body(request.stream(), serving.max_body_bytes)
        except BodyTooLargeError:
            return problem(413, "body", f"more than {serving.max_body_bytes} bytes: send fewer events at once")
        accepted, rejected = check_events(body, serving.max_events_per_post, datetime.now(UTC))
        if accepted:
            try:
                await self.log.append(accepted)
            except ServiceError as error:
                EVENTS_UNACKNOWLEDGED.inc(len(accepted))
                return problem(503, "", str(error), {"Retry-After": "2"})
            EVENTS_ACCEPTED.inc(len(accepted))
        if not rejected:
            return json_response({"accepted": len(accepted)}, 202)
        self._bury(rejected)
        first = rejected[0]
        return problem(
            422,
            first.rejection.field,
            first.rejection.message if first.index is None else f"event {first.index}: {first.rejection.message}",
            accepted=len(accepted),
            rejected=[event.as_dict() for event in rejected],
        )

    async def healthz(self) -> Response:
        """Alive: 200 as long as the process answers."""
        return json_response({"alive": True})

    async def readyz(self) -> Response:
        """Ready: 200 once a release is loaded and warm, 503 with the reason before."""
        live = self.live.recommender
        if live is None:
            return json_response({"ready": False, "reason": self.live.reason}, 503)
        problem_of_newest = {"newest_release": self.live.reason} if self.live.reason else {}
        return json_response(
            {"ready": True, "release_id": live.release.release_id, "items": len(live.catalogue), **problem_of_newest}
        )

    async def metrics(self) -> Response:
        """Prometheus' text format."""
        return Response(metrics_text(), media_type="text/plain; version=0.0.4")

    def _bury(self, rejected: list[RejectedEvent]) -> None:
        """Count refused events and keep them in the dead-letter topic."""
        received_at = datetime.now(UTC).isoformat(timespec="microseconds")
        for event in rejected:
            EVENTS_REJECTED.labels(event.rejection.reason).inc()
            letter: dict[str, Any] = event.as_dict() | {
                "received_at": received_at,
                "raw": event.raw[:65_536].decode(errors="replace"),
            }
            self.log.note(self.settings.kafka.rejected_topic, event.rejection.reason, orjson.dumps(letter))
