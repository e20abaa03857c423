"""HTTP client of the running service for the command line."""

from __future__ import annotations

import json
from typing import Any

import httpx
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from headrace.errors import BadInputError, ServiceError
from headrace.machine.ports import service_address
from headrace.settings import Settings

TIMEOUT_SECONDS = 10.0
START = "Start it with `headrace serve`, or in the background with `headrace up serving`"


def recommendations(settings: Settings, query: dict[str, str]) -> str:
    """The service's answer, JSON text.

    Raises ServiceError if it is not up or not ready, BadInputError if it refuses the request.
    """
    address = service_address(settings)
    try:
        answer = httpx.get(f"{address}/recommendations", params=query, timeout=TIMEOUT_SECONDS, trust_env=False)
    except httpx.HTTPError as error:
        raise ServiceError(f"the service at {address} is not reachable ({type(error).__name__})", START) from None
    if answer.is_success:
        return answer.text
    if answer.is_client_error:
        raise BadInputError(f"the service refused the request: {_message(answer)}", "See `headrace recommend --help`")
    raise ServiceError(f"the service answered {answer.status_code}: {_message(answer)}", "See `headrace status`")


def show(body: str, console: Console) -> None:
    """Print a response as a table, with the number of candidates and the latency below it."""
    answer: dict[str, Any] = json.loads(body)
    entries: list[dict[str, Any]] = answer["recommendations"]
    titled = any(entry.get("title") for entry in entries)
    table = Table("#", "item", *(["title"] if titled else []), "score", "reason")
    for rank, entry in enumerate(entries, start=1):
        title = [escape(str(entry.get("title") or ""))] if titled else []
        row = [escape(str(entry["item_id"])), *title, f"{entry['score']:.3f}", escape(str(entry["reason"]))]
        table.add_row(str(rank), *row)
    console.print(table)
    fallback = f"; fallback: {answer['fallback']}" if answer.get("fallback") else ""
    console.print(f"{answer['candidates_generated']} candidates, {answer['latency_ms']:.1f} ms{fallback}")


def _message(answer: httpx.Response) -> str:
    """The sentence of `{"error": {"field", "message"}}`; of an answer that is not the service's, its status."""
    try:
        error = answer.json()["error"]
        message = f"{error['field']}: {error['message']}" if error["field"] else str(error["message"])
    except (ValueError, KeyError, TypeError):
        message = f"{answer.reason_phrase or answer.status_code}, in a format that is not the service's"
    return message.rstrip(".")
