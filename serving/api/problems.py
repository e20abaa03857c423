"""Answers to requests that cannot be served: one JSON shape, a field and a mend, never a stack trace."""

from __future__ import annotations

import logging
from typing import Any
from uuid import uuid4

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

LOG = logging.getLogger(__name__)


class ProblemError(Exception):
    """A request that is answered with `status` and the field that is to blame."""

    def __init__(self, status: int, field: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.field = field
        self.message = message


def json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """`content` as JSON."""
    return Response(orjson.dumps(content), status, headers, "application/json")


def problem(status: int, field: str, message: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """The answer `{"error": {"field", "message"}, …}`."""
    return json_response({"error": {"field": field, "message": message}, **more}, status, headers)


def add_problem_handlers(app: FastAPI) -> None:
    """Give every error of `app` the same shape."""

    @app.exception_handler(ProblemError)
    async def own(_: Request, error: ProblemError) -> Response:
        return problem(error.status, error.field, error.message)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return problem(422, str(first["loc"][-1]), str(first["msg"]))

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        return problem(error.status_code, "", str(error.detail), dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        request_id = uuid4().hex
        LOG.error("request %s: %s %s failed: %r", request_id, request.method, request.url.path, error)
        return problem(500, "", f"this should not happen; tell the operator the request id {request_id}")
