"""`python -m serving` as a process of its own."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import mlflow
import psutil
import pytest

from headrace.release.bundle import read_manifest
from headrace.release.registry import ARTIFACT_FOLDER, RELEASE_ID_TAG
from headrace.settings import Settings
from tests.conftest import free_ports, settings_on_free_ports
from tests.serving.conftest import ITEMS, buyer, service_process, store_rows
from tests.small_release import tiny_full_release

ANNA = buyer("anna", {"item-7": 3, "item-50": 1})
ASKED = {"user_id": "anna"}


@pytest.fixture
def settings(services: Settings, release_folder: Path, tmp_path: Path) -> Settings:
    """The running services, a home and a port of its own, and anna in the store."""
    store_rows(services, ANNA)
    serving = services.serving.model_copy(update={"port": free_ports(1)[0], "release": str(release_folder)})
    return services.model_copy(update={"home": tmp_path, "serving": serving})


def test_the_process_serves_without_store_and_broker_and_ends_when_it_is_told(
    tmp_path: Path, release_folder: Path
) -> None:
    settings = settings_on_free_ports(tmp_path)
    settings.serving.release = str(release_folder)
    with service_process(settings) as service:
        client = service.client
        answer = client.get("/recommendations", params=ASKED).json()
        assert answer["fallback"] == "online store unavailable: popular items"
        assert len(answer["recommendations"]) == 20
        assert client.post("/events", content=b"x" * 3_000_000).status_code == 413
        beside = service.beside()
    assert len(beside) >= 3  # the worker, and what ranks and what checks bodies beside it
    assert not psutil.wait_procs(beside, 5)[1]


def test_a_taken_port_is_said_in_one_sentence(tmp_path: Path) -> None:
    settings = settings_on_free_ports(tmp_path)
    with socket.create_server(("127.0.0.1", settings.serving.port)):
        environment = {**os.environ, **settings.as_environment()}
        command = [sys.executable, "-m", "serving"]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{settings.serving.port}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_large_bodies_and_a_new_release_leave_every_answer_whole(settings: Settings, tmp_path: Path) -> None:
    served = tmp_path / "live"
    old = tiny_full_release(tmp_path / "old", items=ITEMS)
    new = tiny_full_release(tmp_path / "new", items=ITEMS, seed=8)
    served.symlink_to(old.folder)
    settings.serving.release, settings.serving.watch_seconds = str(served), 0.2
    with service_process(settings) as (client, _), ThreadPoolExecutor(2) as threads:
        posts = [threads.submit(client.post, "/events", json=_large_body(number)) for number in range(5)]
        (tmp_path / "next").symlink_to(new.folder)
        (tmp_path / "next").replace(served)
        answers: list[dict[str, Any]] = []
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and (not answers or answers[-1]["release_id"] != new.release_id):
            answers.append(client.get("/recommendations", params=ASKED).json())
        assert [post.result().json() for post in posts] == [{"accepted": 450}] * 5
    assert [answer["release_id"] for answer in answers] == sorted(
        (answer["release_id"] for answer in answers), key=[old.release_id, new.release_id].index
    )
    assert {answers[0]["release_id"], answers[-1]["release_id"]} == {old.release_id, new.release_id}
    assert {answer["fallback"] for answer in answers} == {None}


def test_what_cannot_be_ranked_in_time_is_an_earlier_list_or_the_popular_one_and_says_overload(
    settings: Settings,
) -> None:
    settings.serving.deadline_ms, settings.serving.max_waiting = 1, 12
    with service_process(settings) as service:
        client = service.client
        ranked = client.get("/recommendations", params=ASKED).json()
        asked = [one for number in range(60) for one in (ASKED, {"user_id": f"stranger-{number}"})]
        answers = asyncio.run(_all_at_once(str(client.base_url), asked))
        counted = client.get("/metrics").text
    cheaper = [one.json() for one in answers if one.status_code == 200 and one.json()["fallback"]]
    assert {(one["fallback"], one["tier"]) for one in cheaper} == {("overload", "cached"), ("overload", "popular")}
    for one in cheaper:
        assert len(one["recommendations"]) == 20
        if one["user_id"] == "anna":
            assert (one["tier"], one["recommendations"]) == ("cached", ranked["recommendations"])
    refused = [one for one in answers if one.status_code != 200]
    assert {(one.status_code, one.headers["Retry-After"]) for one in refused} == {(503, "2")}
    assert 'headrace_answers_total{tier="cached"}' in counted
    assert 'headrace_fallbacks_total{reason="overload"}' in counted
    assert "headrace_loop_lag_seconds_count" in counted


def test_two_workers_with_two_ranking_processes_each_serve_and_count_together(settings: Settings) -> None:
    settings.serving.workers = settings.serving.ranking_processes = 2
    with service_process(settings) as service:
        client = service.client
        for _ in range(40):
            with httpx.Client(base_url=client.base_url) as another:  # a new connection: either worker may take it
                answer = another.get("/recommendations", params=ASKED)
                assert answer.status_code in (200, 503)  # the other worker may not be ready yet
        deadline = time.monotonic() + 30
        while len(service.beside("serving.processes.ranking_process")) < 4:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(1)
        before = _counted(client)
        for _ in range(40):
            with httpx.Client(base_url=client.base_url) as another:
                assert another.get("/recommendations", params=ASKED).json()["tier"] == "full"
        assert _counted(client) == before + 40


def test_a_ranking_process_that_is_killed_is_replaced_and_nobody_is_told_that_the_store_is_away(
    settings: Settings,
) -> None:
    with service_process(settings) as service:
        client = service.client
        (ranking,) = service.beside("serving.processes.ranking_process")
        ranking.kill()
        fallbacks = set()
        deadline = time.monotonic() + 30
        while (fallback := client.get("/recommendations", params=ASKED).json()["fallback"]) or not fallbacks:
            fallbacks.add(fallback)
            assert time.monotonic() < deadline
    assert fallbacks <= {None, "ranking unavailable: popular items"}


def test_no_process_that_serves_imports_the_registrys_client(settings: Settings, release_folder: Path) -> None:
    """A bundle is fetched from the registry; what the client is made of is mapped by no process when it is live."""
    release_id = _registered(settings, release_folder)
    settings.serving.release, settings.serving.watch_seconds = "champion", 0.5
    with service_process(settings) as service:
        client = service.client
        assert client.get("/readyz").json()["release_id"] == release_id
        time.sleep(1)
        mapped = {
            process.pid: "/scipy/" in Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8")
            for process in service.beside()
        }
    assert len(mapped) >= 3
    assert not any(mapped.values())


def _registered(settings: Settings, folder: Path) -> str:
    client = mlflow.MlflowClient(settings.mlflow.tracking_uri)
    run_id = client.create_run(client.create_experiment("served")).info.run_id
    client.log_artifacts(run_id, str(folder), ARTIFACT_FOLDER)
    settings.mlflow.model_name = "served"
    client.create_registered_model("served")
    release_id = read_manifest(folder).release_id
    source, tags = f"runs:/{run_id}/{ARTIFACT_FOLDER}", {RELEASE_ID_TAG: release_id}
    made = client.create_model_version("served", source, run_id, tags)
    client.set_registered_model_alias("served", "champion", made.version)
    return release_id


def _large_body(number: int) -> list[dict[str, Any]]:
    """450 events, 900 kB."""
    return [
        {
            "event_id": f"large-{number}-{place}",
            "event_type": "view",
            "user_id": f"poster-{place}",
            "item_id": "item-1",
            "timestamp": "2026-11-23T15:04:05Z",
            "context": {"note": "x" * 1800},
        }
        for place in range(450)
    ]


def _counted(client: httpx.Client) -> float:
    lines = [line for line in client.get("/metrics").text.splitlines() if 'answers_total{tier="full"}' in line]
    return float(lines[0].split()[-1])


async def _all_at_once(address: str, asked: list[dict[str, str]]) -> list[httpx.Response]:
    unlimited = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=address, limits=unlimited, timeout=30, trust_env=False) as client:
        return await asyncio.gather(*(client.get("/recommendations", params=each) for each in asked))
