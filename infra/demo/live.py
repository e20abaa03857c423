"""The live part of the demo: posts events and measures when store and responses change."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import redis
from rich.progress import track

from headrace.errors import HeadraceError
from headrace.features.online_store import LIVE_FIELDS, LiveRow, decode_live_row, live_key
from headrace.settings import Settings
from infra.demo.households import Purchase, ask

WAIT_S = 20.0
"""Timeout for an event to reach the store."""


@dataclass(frozen=True)
class Change:
    """What a few events did to one household."""

    vector_seconds: float
    """From the first POST to the last event's vector in the store."""
    answer_seconds: float
    """From the first POST to an answer that differs."""
    cosine: float
    """Between the vector before and after: 1 = nothing changed."""
    before: dict[str, Any]
    after: dict[str, Any]


def read_live_row(store: redis.Redis, user_id: str) -> LiveRow | None:
    """The stream's row of one user."""
    return decode_live_row(store.hmget(live_key(user_id), list(LIVE_FIELDS)))  # type: ignore[arg-type]


def post(service: str, events: Sequence[dict[str, Any]]) -> None:
    """Send events; returns once the broker has acknowledged them."""
    answer = httpx.post(f"{service}/events", json={"events": list(events)}, timeout=10)
    if answer.status_code != 202:
        raise HeadraceError(f"POST /events answered {answer.status_code}: {answer.text[:200]}")


def event(event_type: str, user_id: str, item_id: str, **fields: Any) -> dict[str, Any]:
    """An event of this moment."""
    return {
        "event_id": f"demo-{uuid.uuid4()}",
        "event_type": event_type,
        "user_id": user_id,
        "item_id": item_id,
        "timestamp": datetime.now(UTC).isoformat(),
        **fields,
    }


def change_household(settings: Settings, service: str, user_id: str, item_ids: Sequence[str]) -> Change:
    """View, cart and buy `item_ids` for one household and wait until its vector and its list are others."""
    store = redis.Redis.from_url(settings.store.url)
    before = ask(service, user_id)
    start = time.monotonic()
    post(service, [event("view", user_id, item_ids[0], value=20)])
    first = _wait_for(store, user_id, events=1)
    sent = [event("add_to_cart", user_id, item, value=1) for item in item_ids]
    sent += [event("purchase", user_id, item, value=1) for item in item_ids]
    post(service, sent)
    last = _wait_for(store, user_id, events=1 + len(sent))
    vector_seconds = time.monotonic() - start
    after = ask(service, user_id)
    while _ids(after) == _ids(before):
        if time.monotonic() - start > WAIT_S:
            raise HeadraceError(f"the list of household {user_id} did not change in {WAIT_S:.0f} s")
        time.sleep(0.02)
        after = ask(service, user_id)
    return Change(
        vector_seconds=vector_seconds,
        answer_seconds=time.monotonic() - start,
        cosine=_cosine(first.vector, last.vector),
        before=before,
        after=after,
    )


def _cosine(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    lengths = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return float(one @ other) / max(lengths, 1e-9)


def _ids(answer: dict[str, Any]) -> list[str]:
    return [entry["item_id"] for entry in answer["recommendations"]]


def _wait_for(store: redis.Redis, user_id: str, events: int) -> LiveRow:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        row = read_live_row(store, user_id)
        if row is not None and row.count >= events:
            return row
        time.sleep(0.005)
    raise HeadraceError(
        f"events of household {user_id} did not reach the store in {WAIT_S:.0f} s", "See the stream's log"
    )


def replay_latencies(
    settings: Settings, service: str, purchases: Sequence[Purchase], per_second: float = 50.0
) -> npt.NDArray[np.float64]:
    """Post one real purchase of each household at a steady pace; seconds from each POST until its row was written."""
    store = redis.Redis.from_url(settings.store.url)
    sent: dict[str, float] = {}
    start = time.monotonic()
    with httpx.Client(timeout=10) as client:
        for number, purchase in enumerate(track(purchases, "Replaying real purchases")):
            time.sleep(max(0.0, start + number / per_second - time.monotonic()))
            fields = {**purchase.fields, "timestamp": purchase.fields["timestamp"].isoformat()}
            fields = {name: value for name, value in fields.items() if value is not None}
            sent[purchase.user_id] = time.time()
            answer = client.post(f"{service}/events", json=fields)
            if answer.status_code != 202:
                raise HeadraceError(f"POST /events answered {answer.status_code}: {answer.text[:200]}")
    return np.array([_wait_for(store, user, events=1).updated_at / 1e6 - moment for user, moment in sent.items()])
