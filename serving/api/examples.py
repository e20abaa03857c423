"""What `/docs` shows beside each route: examples of requests and answers."""

from __future__ import annotations

from typing import Any

from headrace.events import MAX_ID_LENGTH
from serving.api.requests import CONTEXTS, DEFAULT_LIMIT, MAX_DEVICE_LENGTH

_ANSWER = {
    "user_id": "1228",
    "context": "homepage",
    "recommendations": [
        {"item_id": "1082185", "score": 2.31, "reason": "You bought this 14 times"},
        {"item_id": "1029743", "score": 1.87, "reason": "Because you bought Tropical fruit"},
    ],
    "candidates_generated": 500,
    "latency_ms": 3.2,
    "release_id": "20261123-0123456789ab",
    "request_id": "5f0c6f0a3bfb4d5f9a3f0f0a6c1d2e3f",
    "fallback": None,
    "tier": "full",
}
_EVENT = {
    "event_id": "9b2f6c1e-1",
    "event_type": "view",
    "user_id": "1228",
    "item_id": "1029743",
    "timestamp": "2026-11-23T15:04:05Z",
    "context": {"surface": "web"},
}
_REFUSED = {
    "error": {"field": "item_id", "message": "event 1: a view needs an item_id"},
    "accepted": 1,
    "rejected": [
        {"index": 1, "reason": "missing_item", "field": "item_id", "message": "a view needs an item_id"},
    ],
}


def _problem(field: str, message: str) -> dict[str, Any]:
    return {"error": {"field": field, "message": message}}


def _answer(description: str, example: Any) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"example": example}}}


def _parameter(name: str, description: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": {"type": kind, **more}}


RECOMMENDATIONS: dict[str, Any] = {
    "summary": "Recommendations for a user",
    "openapi_extra": {
        "parameters": [
            _parameter("user_id", "who asks; this or `session_id`", maxLength=MAX_ID_LENGTH, example="1228"),
            _parameter("session_id", "visit of somebody who is not signed in", maxLength=MAX_ID_LENGTH),
            _parameter("context", "where the list is shown", enum=list(CONTEXTS), default=CONTEXTS[0]),
            _parameter("limit", "length of the list", "integer", minimum=1, default=DEFAULT_LIMIT),
            _parameter("device", "what the list is shown on; noted with the impression", maxLength=MAX_DEVICE_LENGTH),
            _parameter("item_id", "for `related`: the item to resemble", maxLength=MAX_ID_LENGTH),
        ]
    },
    "responses": {
        200: _answer("A ranked list; `fallback` says so if it is not what was asked for", _ANSWER),
        400: _answer("An unknown context", _problem("context", "'cart' is not a context: use homepage or related")),
        404: _answer("An unknown item", _problem("item_id", "the live release knows no item '1'")),
        422: _answer("A parameter is wrong", _problem("limit", "'0' is no whole number from 1 to 100")),
        503: _answer(
            "No release is loaded yet, or too many requests wait",
            _problem("", "not ready: the release is being loaded"),
        ),
    },
}
EVENTS: dict[str, Any] = {
    "summary": "Send what users did",
    "responses": {
        202: _answer("Every event is acknowledged by the event log", {"accepted": 2}),
        413: _answer("The body is too large", _problem("body", "more than 1048576 bytes: send fewer events at once")),
        422: _answer("Some events were refused; the others of the body were accepted", _REFUSED),
        503: _answer("The event log did not acknowledge: send the same body again", _problem("", "…")),
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"type": ["object", "array"]},
                    "examples": {"one": {"value": _EVENT}, "several": {"value": {"events": [_EVENT]}}},
                }
            },
        }
    },
}
