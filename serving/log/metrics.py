"""What the service counts and times, in Prometheus' text format at `/metrics`."""

from __future__ import annotations

import os

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

_IS_SHARED = "PROMETHEUS_MULTIPROC_DIR" in os.environ
"""Whether the counts below are kept in files, which is decided when they are made."""
_SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.008, 0.012, 0.02, 0.05, 0.1, 0.5, 2.0)

REQUESTS = Counter("headrace_requests", "Requests for recommendations.", ["context", "status"])
REQUEST_SECONDS = Histogram("headrace_request_seconds", "Whole request, in the handler.", ["context"], buckets=_SECONDS)
STAGE_SECONDS = Histogram("headrace_stage_seconds", "Parts of a request.", ["stage"], buckets=_SECONDS)
ANSWERS = Counter("headrace_answers", "Lists given, by how much was done for them.", ["tier"])
LOOP_LAG = Histogram("headrace_loop_lag_seconds", "How late the event loop was at most in 100 ms.", buckets=_SECONDS)
WAITING = Gauge("headrace_waiting", "Requests that wait, for what.", ["queue"], multiprocess_mode="livesum")
STORE_FAILURES = Counter("headrace_store_failures", "Reads that the online store did not answer.", ["reason"])
FALLBACKS = Counter("headrace_fallbacks", "Answers that are not what was asked for, and why.", ["reason"])
EVENTS_ACCEPTED = Counter("headrace_events_accepted", "Events acknowledged by the broker.")
EVENTS_REJECTED = Counter("headrace_events_rejected", "Events refused by the contract.", ["reason"])
EVENTS_UNACKNOWLEDGED = Counter("headrace_events_unacknowledged", "Events that the broker did not acknowledge.")
NOTES_DROPPED = Counter(
    "headrace_notes_dropped", "Impressions and dead letters lost because the broker was unavailable."
)
RELEASES_REFUSED = Counter("headrace_releases_refused", "Releases that could not be loaded.")
RELEASE_LOADED = Gauge(
    "headrace_release_loaded_timestamp_seconds", "When the live release was loaded.", multiprocess_mode="mostrecent"
)


def metrics_text() -> bytes:
    """Everything measured so far, of all worker processes where there are several."""
    if not _IS_SHARED:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
