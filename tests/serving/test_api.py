"""The service over HTTP with the real store and the real broker."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import redis
from confluent_kafka import Consumer, TopicPartition
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from headrace.features.online_store import WRITE_IF_NEWER, LiveRow, live_key, live_row_arguments
from headrace.features.user_row import HistoryEvent
from headrace.settings import Settings
from serving.api.app import create_app
from serving.pipeline.recommender import Recommender
from tests.conftest import free_ports
from tests.serving.conftest import AS_OF, HOUR, buyer, store_rows

ANNA = buyer("anna", {"item-7": 3, "item-50": 1})
FIELDS = {"user_id", "context", "recommendations", "candidates_generated", "latency_ms"}
FIELDS |= {"release_id", "request_id", "fallback", "tier"}


@pytest.fixture(scope="module")
def settings(services: Settings, release_folder: Path) -> Settings:
    """The running services, and the small release to serve."""
    return services.model_copy(
        update={"serving": services.serving.model_copy(update={"release": str(release_folder), "watch_seconds": 60})}
    )


@pytest.fixture(scope="module")
def store(settings: Settings) -> Iterator[redis.Redis]:
    """The online store, with anna's batch row in it."""
    client = redis.Redis.from_url(settings.store.url)
    store_rows(settings, ANNA)
    yield client
    client.close()


@pytest.fixture(scope="module")
def client(settings: Settings, store: redis.Redis) -> Iterator[TestClient]:
    """The service, ready."""
    with TestClient(create_app(settings)) as client:
        yield wait_until_ready(client)


def wait_until_ready(client: TestClient) -> TestClient:
    deadline = time.monotonic() + 20
    while client.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline, client.get("/readyz").text
        time.sleep(0.05)
    return client


def ask(client: TestClient, **parameters: Any) -> dict[str, Any]:
    answer = client.get("/recommendations", params=parameters)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def event(**changes: Any) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    fields = {"event_id": uuid4().hex, "event_type": "view", "user_id": "anna", "item_id": "item-9", "timestamp": now}
    return {name: value for name, value in (fields | changes).items() if value is not None}


def messages(settings: Settings, topic: str) -> list[tuple[str, dict[str, Any]]]:
    """Everything in a topic now: key and value."""
    consumer = Consumer({"bootstrap.servers": settings.kafka.bootstrap_servers, "group.id": uuid4().hex})
    found = []
    for number in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
        partition = TopicPartition(topic, number)
        _, end = consumer.get_watermark_offsets(partition, timeout=10)
        consumer.assign([TopicPartition(topic, number, 0)])
        while end and (message := consumer.poll(10)) is not None:
            found.append((message.key().decode(), json.loads(message.value())))
            if message.offset() + 1 >= end:
                break
    consumer.close()
    return found


def test_a_known_user_gets_twenty_distinct_items_with_reasons(client: TestClient) -> None:
    answer = ask(client, user_id="anna", context="homepage", limit=20)
    assert answer.keys() >= FIELDS
    assert len({item["item_id"] for item in answer["recommendations"]}) == 20
    assert answer["recommendations"][0] | {"score": 0} == {
        "item_id": "item-7",
        "score": 0,
        "reason": "You bought this before",
    }
    assert all(item["reason"] for item in answer["recommendations"])
    assert answer["candidates_generated"] >= 500
    assert answer["latency_ms"] > 0
    assert (answer["fallback"], answer["tier"]) == (None, "full")


def test_an_unknown_user_gets_the_popular_list_and_a_known_one_another(client: TestClient) -> None:
    unknown = ask(client, user_id="nobody at all")
    assert [item["item_id"] for item in unknown["recommendations"]] == [f"item-{number}" for number in range(20)]
    assert {item["reason"] for item in unknown["recommendations"]} == {"Popular this month"}
    assert ask(client, user_id="anna")["recommendations"] != unknown["recommendations"]


def test_a_live_row_changes_the_next_answer(client: TestClient, store: redis.Redis, recommender: Recommender) -> None:
    history = [HistoryEvent(AS_OF + HOUR, "visit-1", "item-640", "view")]
    row = LiveRow("of another release", np.zeros(8, np.float32), history, AS_OF + HOUR, 1, AS_OF, "")
    store.eval(WRITE_IF_NEWER, 1, live_key("session:visit"), *live_row_arguments(row, 60))
    answer = ask(client, session_id="visit")
    assert {"item_id": "item-640", "reason": "You viewed this"} in [
        {name: item[name] for name in ("item_id", "reason")} for item in answer["recommendations"]
    ]
    assert answer["user_id"] is None
    namesake = ask(client, user_id="session:visit")
    assert {item["reason"] for item in namesake["recommendations"]} == {"Popular this month"}, "somebody else"


def test_related_items_resemble_an_item_and_leave_it_out(client: TestClient) -> None:
    answer = ask(client, user_id="anna", context="related", item_id="item-33", limit=30)
    assert len({item["item_id"] for item in answer["recommendations"]} - {"item-33"}) == 30
    assert {item["reason"] for item in answer["recommendations"]} == {"Similar to Title of item-33"}


@pytest.mark.parametrize(
    ("parameters", "status", "field"),
    [
        ({"user_id": "anna", "context": "cart"}, 400, "context"),
        ({"user_id": "anna", "context": "related"}, 422, "item_id"),
        ({"user_id": "anna", "context": "related", "item_id": "unheard-of"}, 404, "item_id"),
        ({"user_id": "anna", "limit": 0}, 422, "limit"),
        ({"user_id": "anna", "limit": 101}, 422, "limit"),
        ({"user_id": "anna", "limit": "many"}, 422, "limit"),
        ({"user_id": "a" * 257}, 422, "user_id"),
        ({}, 422, "user_id"),
    ],
)
def test_a_wrong_parameter_is_named(client: TestClient, parameters: dict[str, Any], status: int, field: str) -> None:
    answer = client.get("/recommendations", params=parameters)
    assert answer.status_code == status
    assert answer.json()["error"]["field"] == field
    assert answer.json()["error"]["message"]


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(["user_id", "session_id", "context", "limit", "item_id", "other"]),
        st.text(max_size=300) | st.sampled_from(["anna", "related", "homepage", "item-3", "20", "-1", "9" * 30]),
    )
)
def test_no_parameters_whatever_break_the_service(client: TestClient, parameters: dict[str, str]) -> None:
    answer = client.get("/recommendations", params=parameters)
    assert answer.status_code in (200, 400, 404, 422)
    assert "recommendations" in answer.json() or answer.json()["error"]["message"]


def test_events_are_in_the_log_when_they_are_accepted(client: TestClient, settings: Settings) -> None:
    sent = [event(user_id="carl"), event(user_id=None, session_id="visit")]
    answer = client.post("/events", json={"events": sent})
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2})
    logged = {value["event_id"]: key for key, value in messages(settings, settings.kafka.events_topic)}
    assert [logged[one["event_id"]] for one in sent] == ["carl", "session:visit"]


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (event(event_type="stare"), "event_type"),
        (event(timestamp=(datetime.now(UTC) + timedelta(hours=1)).isoformat()), "timestamp"),
        (event(item_id=None), "item_id"),
        (event(user_id=None), "user_id"),
    ],
)
def test_a_bad_event_is_refused_by_field_and_the_good_one_beside_it_gets_in(
    client: TestClient, settings: Settings, bad: dict[str, Any], field: str
) -> None:
    good = event()
    answer = client.post("/events", json=[good, bad])
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == field
    assert answer.json()["accepted"] == 1
    assert [(one["index"], one["field"]) for one in answer.json()["rejected"]] == [(1, field)]
    assert good["event_id"] in {value["event_id"] for _, value in messages(settings, settings.kafka.events_topic)}


def test_malformed_and_over_long_bodies_are_refused(client: TestClient) -> None:
    assert client.post("/events", content=b"{").json()["error"]["field"] == "body"
    long = client.post("/events", content=b"x" * 1_100_000)
    assert (long.status_code, long.json()["error"]["field"]) == (413, "body")


def test_what_was_shown_and_what_was_refused_can_be_read_again(client: TestClient, settings: Settings) -> None:
    shown = ask(client, user_id="anna", limit=5, device="Phone")
    refused = client.post("/events", json=event(event_id="dead letter", event_type="stare"))
    assert refused.status_code == 422
    time.sleep(0.5)  # both are sent without waiting
    impressions = {value["request_id"]: value for _, value in messages(settings, settings.kafka.impressions_topic)}
    impression = impressions[shown["request_id"]]
    assert impression["items"] == [item["item_id"] for item in shown["recommendations"]]
    assert (impression["positions"], impression["propensities"]) == ([0, 1, 2, 3, 4], [1.0] * 5)
    shown_at = datetime.fromisoformat(impression["timestamp"])
    assert (impression["hour"], impression["weekday"]) == (shown_at.hour, shown_at.weekday())
    assert (impression["device"], impression["surface"]) == ("phone", "homepage")
    letters = [value for _, value in messages(settings, settings.kafka.rejected_topic)]
    assert any('"event_id":"dead letter"' in letter["raw"] for letter in letters)


def test_requests_and_refusals_are_counted(client: TestClient) -> None:
    ask(client, user_id="anna")
    client.post("/events", json=event(event_type="stare"))
    text = client.get("/metrics").text
    assert 'headrace_requests_total{context="homepage",status="200"}' in text
    assert 'headrace_events_rejected_total{reason="unknown_event_type"}' in text
    assert 'headrace_stage_seconds_count{stage="rank"}' in text


def test_without_store_and_broker_lists_are_popular_events_are_not_claimed(settings: Settings) -> None:
    store_port, broker_port = free_ports(2)
    away = settings.model_copy(
        update={
            "store": settings.store.model_copy(update={"url": f"redis://127.0.0.1:{store_port}/0"}),
            "kafka": settings.kafka.model_copy(update={"bootstrap_servers": f"127.0.0.1:{broker_port}"}),
            "serving": settings.serving.model_copy(update={"kafka_timeout_ms": 1000}),
        }
    )
    with TestClient(create_app(away)) as client:
        wait_until_ready(client)
        answer = ask(client, user_id="anna")
        assert (answer["fallback"], answer["tier"]) == ("online store unavailable: popular items", "popular")
        assert answer["recommendations"][0]["reason"] == "Popular this month"
        related = ask(client, user_id="anna", context="related", item_id="item-3")
        assert related["fallback"] == "online store unavailable: not personal"
        refused = client.post("/events", json=event())
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
        assert "accepted" not in refused.json()


def test_before_a_release_is_loaded_the_service_lives_and_says_why_it_is_not_ready(
    settings: Settings, tmp_path: Path
) -> None:
    bare = settings.model_copy(update={"serving": settings.serving.model_copy(update={"release": str(tmp_path)})})
    with TestClient(create_app(bare)) as client:
        assert client.get("/healthz").status_code == 200
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert client.get("/recommendations", params={"user_id": "anna"}).status_code == 503
        deadline = time.monotonic() + 10
        while "holds no release" not in client.get("/readyz").json()["reason"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_the_generated_description_of_the_service_names_every_route(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    assert set(described["paths"]) == {"/recommendations", "/events", "/healthz", "/readyz", "/metrics"}


def test_the_page_that_tries_the_service_needs_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs").text
    linked = re.findall(r"""(?:src|href)=["']([^"']+)|url: ['"]([^'"]+)""", page)
    addresses = {source or url for source, url in linked}
    assert len(addresses) >= 3
    assert {address: client.get(address).status_code for address in addresses} == dict.fromkeys(addresses, 200)
    assert not any("//" in address for address in addresses)
