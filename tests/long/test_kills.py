"""kill -9 in the middle of each job, then the same command again: the same tables and the same rows online."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import redis
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from pyspark.sql import SparkSession

from headrace.settings import Settings
from headrace.tables import (
    BRONZE_EVENTS,
    GOLD_RANKING_EXAMPLES,
    GOLD_USER_ITEM_FEATURES,
    QUALITY_RESULTS,
    SILVER_EVENTS,
    TABLES,
    Table,
)
from jobs.batch.__main__ import job_arguments, run_jobs
from jobs.batch.engine.lake import Lake
from tests.jobs.batch.worlds import DAY, collected, days_before, json_lines, purchase
from tests.spark_fixture import FEW_ROWS, QUICK_JAVA

JOBS = ["ingest", "clean", "features", "training_sets", "quality", "materialise"]
RETRY_SECONDS = 240


def own_place(services: Settings, home: Path, database: int) -> Settings:
    """A lake and a store of its own on the shared broker and Valkey."""
    return services.model_copy(
        update={
            "home": home,
            "lake": "",
            "kafka": services.kafka.model_copy(update={"events_topic": "kills-test"}),
            "store": services.store.model_copy(update={"url": services.store.url.removesuffix("/0") + f"/{database}"}),
            "spark": services.spark.model_copy(update={"driver_memory": "1g", "shuffle_partitions": 1}),
            "training": services.training.model_copy(update={"holdout_days": 2}),
        }
    )


def send(settings: Settings, events: Iterable[dict[str, Any]]) -> None:
    servers = {"bootstrap.servers": settings.kafka.bootstrap_servers}
    topic = settings.kafka.events_topic
    admin = AdminClient(servers)  # kept by name: its answers never come once it is collected
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result()
    producer = Producer(servers)
    for event in events:
        producer.produce(topic, json.dumps(event).encode())
    assert producer.flush(30) == 0


def uncommitted(settings: Settings, table: Table, after: int = 0) -> Callable[[], bool]:
    """Whether the table has a new file of rows that no commit names, while so many commits have added others."""
    folder = Path(settings.lake_root) / table.path
    known = set(folder.glob("**/part-*.parquet"))

    def now() -> bool:
        log = [path.read_text() for path in (folder / "_delta_log").glob("*.json")]
        new = set(folder.glob("**/part-*.parquet")) - known
        named = {path for path in new if any(path.name in commit for commit in log)}
        return len(new - named) > 0 and sum('"add"' in commit for commit in log) >= after

    return now


def half_online(settings: Settings) -> Callable[[], bool]:
    """Whether the store has rows, and no note yet that they are all."""
    store = redis.Redis.from_url(settings.store.url)
    return lambda: len(store.keys("*")) > 0 and not store.keys("headrace:*")


def killed(settings: Settings, arguments: list[str], middle: Callable[[], bool]) -> None:
    """Run the jobs in a process of their own, and kill it with its Java in the middle."""
    environment = {**os.environ, **QUICK_JAVA, **settings.as_environment(), "SPARK_CONF_DIR": FEW_ROWS}
    log = settings.home_folder / "killed.log"
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "jobs.batch", *arguments],
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    until = time.monotonic() + RETRY_SECONDS
    while not middle():
        assert child.poll() is None, log.read_text()[-2000:]
        assert time.monotonic() < until, log.read_text()[-2000:]
        time.sleep(0.001)
    os.killpg(child.pid, signal.SIGKILL)
    assert child.wait(10) == -signal.SIGKILL
    assert middle(), "it was not in the middle any more"


def online(settings: Settings) -> dict[bytes, dict[bytes, bytes]]:
    """Every row in the store."""
    store = redis.Redis.from_url(settings.store.url)
    return {key: store.hgetall(key) for key in store.keys("*") if not key.startswith(b"headrace:")}


def test_each_job_killed_in_the_middle_and_run_again_gives_the_same_tables(
    services: Settings, spark: SparkSession, tmp_path: Path
) -> None:
    cut, whole = own_place(services, tmp_path / "cut", 8), own_place(services, tmp_path / "whole", 9)
    days = (12.0, 5.0, 3.0, 1.5, 1.0, 0.0)
    events = [
        purchase(f"e{user}{n}", f"u{user}", f"i{n}", days_before(day)) for n, day in enumerate(days) for user in (1, 2)
    ]
    tmp_path.joinpath("cut").mkdir()
    files = {
        "--events": json_lines(
            tmp_path / "events.jsonl", [*events[:-4], {**events[0], "event_id": "x", "item_id": ""}]
        ),
        "--items": json_lines(tmp_path / "items.jsonl", [{"item_id": f"i{n}", "title": f"Item {n}"} for n in range(6)]),
        "--users": json_lines(tmp_path / "users.jsonl", [{"user_id": "u1", "age": "40"}]),
    }
    send(cut, events[-4:])
    options = ["--day", str(DAY), "--holdout", "--kafka", *(str(part) for pair in files.items() for part in pair)]
    without_kafka = [option for option in options if option != "--kafka"]

    killed(cut, ["ingest", *without_kafka], uncommitted(cut, BRONZE_EVENTS))
    killed(cut, ["ingest", *options], uncommitted(cut, BRONZE_EVENTS, after=1))
    killed(cut, ["ingest,clean", *options], uncommitted(cut, SILVER_EVENTS))
    killed(cut, ["clean,features", *options], uncommitted(cut, GOLD_USER_ITEM_FEATURES))
    killed(cut, ["features,training_sets", *options], uncommitted(cut, GOLD_RANKING_EXAMPLES))
    killed(cut, ["training_sets,quality", *options], uncommitted(cut, QUALITY_RESULTS))
    killed(cut, ["quality,materialise", *options], half_online(cut))

    after_kills, undisturbed = Lake(spark, cut.lake_root), Lake(spark, whole.lake_root)
    run_jobs(after_kills, ["materialise"], job_arguments().parse_args(["materialise", *options]), cut)
    run_jobs(undisturbed, JOBS, job_arguments().parse_args([",".join(JOBS), *options]), whole)
    for table in TABLES:
        cut_rows, whole_rows = (list(map(repr, collected(lake, table))) for lake in (after_kills, undisturbed))
        assert cut_rows == whole_rows, table.path
    assert len(collected(after_kills, SILVER_EVENTS)) == len(events)
    assert online(cut) == online(whole)
    assert online(cut)
