"""Maintenance moves rows and removes old ones; who asks for it is forgotten everywhere. Nobody else loses a row."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis
from confluent_kafka import Producer
from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from headrace.errors import HeadraceError
from headrace.features.online_store import live_key
from headrace.forgotten import subject_hash
from headrace.machine.stream_state import checkpoint_folder
from headrace.settings import Settings
from headrace.settings.jobs import CleanSettings
from headrace.tables import (
    BRONZE_EVENTS,
    FORGET_REQUESTS,
    QUALITY_RESULTS,
    SILVER_EVENTS,
    TABLES,
    end_of,
    microseconds,
)
from jobs.batch.__main__ import job_arguments, run_jobs
from jobs.batch.clean.job import Cleaned, clean
from jobs.batch.engine.lake import Lake
from jobs.batch.engine.personal_rows import PERSONAL
from jobs.batch.engine.spark_errors import explain_spark_errors
from jobs.batch.features.job import compute_features, days_with_late_events, feature_days
from jobs.batch.ingest.files_job import Inputs, ingest_files
from jobs.batch.ingest.topic import ingest_kafka, ingest_notes
from jobs.batch.keeping.forget import forget, repeat_requests
from jobs.batch.keeping.forget_check import what_is_left
from jobs.batch.keeping.maintenance import maintain, vacuum
from jobs.batch.online.materialise import materialise
from jobs.batch.quality.findings import Finding, keep
from jobs.batch.training.recipe import recorded_recipe
from jobs.batch.training.sets import write_training_sets
from jobs.streaming.user_store import UserStore
from tests.jobs.batch.worlds import AS_OF, DAY, collected, days_before, json_lines, purchase, take_in
from tests.long.places import own_place

ASKED = datetime(2026, 11, 21, 9, tzinfo=UTC)
FEW = CleanSettings(moments_per_minute=3)
"""With these, who does four things in a minute is no person."""
PEOPLE = ("anna", "bert")
EVENTS = [
    purchase(f"{user}{n}", user, f"i{n}", days_before(n + 0.5), session_id=f"s-{user}")
    for user in PEOPLE
    for n in range(4)
]


@pytest.fixture(scope="module")
def place(services: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake, a store database and topics of its own."""
    training = services.training.model_copy(update={"holdout_days": 2})
    return own_place(services, tmp_path_factory.mktemp("home"), "forget", 7, training=training)


@pytest.fixture(scope="module")
def lake(place: Settings, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Every table with rows of two people, and of what one of them did before signing in; two files of everything."""
    lake, folder = Lake(spark, place.lake_root), tmp_path_factory.mktemp("files")
    visit = {**purchase("visit", "", "i1", days_before(2)), "session_id": "s-anna"}
    refused = [{**EVENTS[0], "event_id": "r1", "item_id": ""}, '{"event_id": "r2", "user_id": "anna", "broken']
    take_in(
        lake, folder, "a", events=[*EVENTS, visit, *refused], users=[{"user_id": user, "age": 40} for user in PEOPLE]
    )
    fast = [purchase(f"f{user}{n}", user, "i1", f"2026-11-20T10:00:{n:02}Z") for user in PEOPLE for n in range(4)]
    ingest_files(lake, Inputs(events=[json_lines(folder / "b.jsonl", fast)]), AS_OF)
    older = [json_lines(folder / "c.jsonl", [{"user_id": user, "age": 41} for user in PEOPLE])]
    ingest_files(lake, Inputs(users=older), AS_OF + timedelta(days=1))  # on the day of the request: its last moment
    clean(lake, FEW)
    compute_features(lake, place, *feature_days(lake, place, DAY, holdout=True))
    write_training_sets(lake, place, DAY)
    for day in (DAY - timedelta(days=400), DAY):
        sample = json.dumps({"user_id": "anna", "item_id": "i1"})
        keep(lake, day, ["clean"], [Finding("clean", "t", "", "r", "warn", False, 1, 1, 1.0, "", "m", (sample,))])
    return lake


def send(settings: Settings, topic: str, *values: dict[str, Any]) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap_servers})
    for value in values:
        producer.produce(topic, json.dumps(value), key=value.get("user_id"))
    assert producer.flush(30) == 0


def rows_of_others(lake: Lake) -> dict[str, list[str]]:
    """All rows that do not name the person, as text, of every table but those of requests and findings."""
    tables = [table for table in TABLES if lake.exists(table) and table not in (FORGET_REQUESTS, QUALITY_RESULTS)]
    rows = {table.path: [json.dumps(row, default=str) for row in collected(lake, table)] for table in tables}
    return {path: [text for text in texts if "anna" not in text] for path, texts in rows.items()}


def test_maintenance_changes_no_row_it_keeps_and_no_job_takes_it_for_news(lake: Lake, place: Settings) -> None:
    def days() -> set[date]:
        return {row["day"] for row in collected(lake, QUALITY_RESULTS)}

    before, recipe = rows_of_others(lake), recorded_recipe(lake, DAY)
    assert days() == {DAY - timedelta(days=400), DAY}
    quality_before = lake.version(QUALITY_RESULTS)
    for day in (DAY - timedelta(days=40), DAY):
        (place.training_folder / str(day)).mkdir(parents=True)

    done = maintain(lake, place, DAY)

    assert (done.days, done.small_files >= 2, done.files >= 1) == (1, True, True)
    files = DeltaTable.forPath(lake.spark, lake.path(BRONZE_EVENTS)).detail().head()["numFiles"]
    assert files == 1
    assert days() == {DAY}
    assert [path.name for path in place.training_folder.iterdir()] == [str(DAY)]
    assert rows_of_others(lake) == before
    assert clean(lake, FEW) == Cleaned(0, 0, 0, 0)
    assert days_with_late_events(lake, DAY + timedelta(days=1), 7) == []
    write_training_sets(lake, place, DAY, recorded_recipe(lake, DAY))
    assert (rows_of_others(lake), recorded_recipe(lake, DAY)) == (before, recipe)
    assert lake.read(QUALITY_RESULTS, quality_before).count() == 2
    vacuum(lake, QUALITY_RESULTS, at_once=True)
    with (
        pytest.raises(HeadraceError, match="needs a table version that retention has removed"),
        explain_spark_errors("x", ""),
    ):
        lake.read(QUALITY_RESULTS, quality_before).collect()


def test_a_person_is_gone_from_every_place_and_the_neighbour_loses_no_row(
    lake: Lake, place: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    materialise(lake, place, DAY)
    store = redis.Redis.from_url(place.store.url)
    for subject in (*PEOPLE, "session:s-anna"):
        store.hset(live_key(subject), "history", "[]")
    candidates = place.training_folder / str(DAY) / "ranking_candidates.parquet"
    candidates.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"user_id": [*PEOPLE], "label": [1, 0]}), candidates)
    shown = [{"user_id": user, "timestamp": days_before(1), "items": []} for user in PEOPLE]
    both = '[{"user_id": "bert"}, {"user_id": "anna"}]'  # what was sent at once, and refused as a whole
    letter = {"reason": "bad_value", "received_at": days_before(1), "raw": both}
    send(place, place.kafka.impressions_topic, *shown, letter, shown[1])
    send(place, place.kafka.events_topic, EVENTS[0], EVENTS[-1])
    ingest_notes(lake, place, DAY)
    checkpoint = checkpoint_folder(place) / "job" / "chk-7" / "_metadata"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"key\0anna\0\0\0\x84 and so on")
    before = rows_of_others(lake)
    asked = job_arguments().parse_args(["forget", "--day", str(DAY), "--user", "anna", "--check"])
    with pytest.raises(HeadraceError, match="data of anna is left in"):
        run_jobs(lake, ["forget"], asked, place)
    left = {line.split("left in ")[1].split(": ")[0] for line in capsys.readouterr().out.splitlines()}
    planted = {f"{table.layer}.{table.name}" for table in PERSONAL} | {"quality.results", "online store"}
    log = max(place.home_folder.glob("valkey/appendonlydir/*.incr.aof"))
    topics = {f"topic {place.kafka.impressions_topic}", f"topic {place.kafka.events_topic}"}
    assert left == planted | topics | {str(candidates), str(log), "checkpoint job/chk-7"}

    removed = forget(lake, place, "anna", ASKED)

    assert removed["silver.events"] == 9
    assert removed["bronze.rejected_events"] == 2
    assert removed["bronze.notes"] == 2
    assert removed["online store"] == 4
    assert removed[str(candidates)] == removed["checkpoints of the stream"] == 1
    assert removed[f"topic {place.kafka.rejected_topic}"] == 2  # compacted: an empty record for each subject
    assert what_is_left(lake, place, ["anna", "session:s-anna"]) == {}
    after = rows_of_others(lake)
    assert len(after.pop(BRONZE_EVENTS.path)) == len(before.pop(BRONZE_EVENTS.path)) + 1  # taken in from the topic
    assert after == before
    assert [row["samples"] for row in collected(lake, QUALITY_RESULTS) if row["day"] == DAY] == [[]]
    assert store.exists(live_key("bert"))
    assert pq.read_table(candidates).to_pylist() == [{"user_id": "bert", "label": 0}]
    asked_at = {subject_hash(name): microseconds(ASKED) for name in ("anna", "session:s-anna")}
    assert UserStore(place.store, 50).forgotten() == asked_at  # as the stream sees it
    assert clean(lake, FEW) == Cleaned(0, 0, 0, 0)

    # What arrives later of before the request is not taken; what the person does after it is.
    new = purchase("back", "anna", "i5", "2026-11-21T10:00:00Z")
    send(place, place.kafka.events_topic, EVENTS[1], new, purchase("more", "bert", "i5", days_before(0)))
    assert ingest_kafka(lake, place, DAY) == 2
    again = json_lines(tmp_path / "again.jsonl", [EVENTS[2], {**new, "event_id": "back2"}])
    assert ingest_files(lake, Inputs(events=[again]), AS_OF + timedelta(days=2)) == 1
    assert clean(lake, FEW).events == 3
    lake.append(lake.read(SILVER_EVENTS).where("event_id = 'bert1'").replace("bert", "anna"), SILVER_EVENTS)
    assert repeat_requests(lake, place, end_of(DAY)) == {"silver.events": 1}
    mine = [row["event_id"] for row in collected(lake, SILVER_EVENTS) if row["subject_id"] == "anna"]
    assert mine == ["back", "back2"]
