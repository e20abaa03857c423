"""The HTTP service: routes over the recommender, the event log and the online store."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from time import perf_counter

from fastapi import FastAPI, Request, Response
from fastapi_offline import FastAPIOffline
from starlette.routing import Route

from headrace.errors import ServiceError
from headrace.settings import Settings, load_settings
from serving.api import examples
from serving.api.problems import ProblemError, add_problem_handlers, json_response, problem
from serving.api.recommendations import Recommendations
from serving.api.requests import CONTEXTS, read_request
from serving.intake.checks import BodyTooLargeError, read_body
from serving.intake.process import Intake, IntakeBusyError
from serving.log.event_log import EventLog
from serving.log.metrics import (
    EVENTS_ACCEPTED,
    EVENTS_REJECTED,
    EVENTS_UNACKNOWLEDGED,
    REQUEST_SECONDS,
    REQUESTS,
    metrics_text,
)
from serving.overload.loop_clock import LoopClock
from serving.processes.worker_process import ProcessEndedError
from serving.state.live_release import LiveRelease
from serving.state.user_store import UserStore

_RETRY = {"Retry-After": "2"}
_BODY_SECONDS = 30.0
"""A body of `POST /events` has to arrive in this time."""


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
    app.router.routes.insert(0, Route("/recommendations", service.recommendations))  # the same without FastAPI's 0.1 ms
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
        """Open the store and the log, start the processes beside, follow the champion, and end all of it again."""
        clock = LoopClock()
        store = UserStore(self.settings.store, clock)
        self.log = EventLog(self.settings.kafka, self.settings.serving.kafka_timeout_ms)
        self.intake = Intake(self.settings.serving.max_events_per_post, self.settings.as_environment())
        self.answers = Recommendations(self.settings, self.live, store, self.log)
        await self.intake.start()
        watching = asyncio.create_task(self.live.watch())
        gc.freeze()  # what was imported stays: a full collection would walk all of it in the middle of a request
        yield
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await asyncio.gather(self.live.stop(), self.intake.stop(), store.close())
        clock.stop()
        self.log.close()

    async def recommendations(self, request: Request) -> Response:
        """A ranked list for one user, best first, each item with a reason."""
        start = perf_counter()
        parameters = request.query_params
        label = context if (context := parameters.get("context", CONTEXTS[0])) in CONTEXTS else "unknown"
        status = 500
        try:
            answer = await self.answers.answer(read_request(parameters, self.settings.serving.max_limit))
            status = 200
            return json_response(answer)
        except ProblemError as error:
            status = error.status
            return problem(status, error.field, error.message, _RETRY if status == 503 else None)
        finally:
            REQUESTS.labels(label, str(status)).inc()
            REQUEST_SECONDS.labels(label).observe(perf_counter() - start)

    async def events(self, request: Request) -> Response:
        """Accept events once the event log has acknowledged them."""
        serving = self.settings.serving
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await read_body(request.stream(), serving.max_body_bytes)
        except TimeoutError:
            return problem(408, "body", f"it did not arrive within {_BODY_SECONDS:.0f} s: send fewer events at once")
        except BodyTooLargeError:
            return problem(413, "body", f"more than {serving.max_body_bytes} bytes: send fewer events at once")
        try:
            checked = await self.intake.check(body, datetime.now(UTC))
        except (IntakeBusyError, ProcessEndedError):
            return problem(503, "", "large bodies cannot be checked in time: send it again in a moment", _RETRY)
        if checked.accepted:
            try:
                await self.log.append(checked.accepted)
            except ServiceError as error:
                EVENTS_UNACKNOWLEDGED.inc(len(checked.accepted))
                return problem(503, "", str(error), _RETRY)
            EVENTS_ACCEPTED.inc(len(checked.accepted))
        if checked.refusal is None:
            return json_response({"accepted": len(checked.accepted)}, 202)
        for reason in checked.reasons:
            EVENTS_REJECTED.labels(reason).inc()
        if checked.letter is not None:
            self.log.note(self.settings.kafka.rejected_topic, checked.reasons[0], checked.letter)
        return problem(422, accepted=len(checked.accepted), **checked.refusal)

    async def healthz(self) -> Response:
        """Alive: 200 as long as the process answers."""
        return json_response({"alive": True})

    async def readyz(self) -> Response:
        """Ready: 200 once a release is loaded and warm, 503 with the reason before."""
        live = self.live.ranking
        if live is None:
            return json_response({"ready": False, "reason": self.live.reason}, 503)
        problem_of_newest = {"newest_release": self.live.reason} if self.live.reason else {}
        return json_response(
            {
                "ready": True,
                "release_id": live.loaded.release_id,
                "items": live.loaded.items,
                **problem_of_newest,
            }
        )

    async def metrics(self) -> Response:
        """Prometheus' text format."""
        return Response(metrics_text(), media_type="text/plain; version=0.0.4")
