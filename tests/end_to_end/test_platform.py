"""From purchases to live recommendations, through every component, on a small slice of the real data."""

from __future__ import annotations

import json
import time
from collections import Counter

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import redis
from deltalake import DeltaTable

from headrace.features.online_store import LIVE_FIELDS, LiveRow, decode_live_row, live_key
from headrace.tables import REJECTED_EVENTS, SILVER_EVENTS, TABLES
from infra.demo.live import event


def recommendations(platform, user_id, **parameters) -> dict:
    query = {"user_id": user_id, "context": "homepage", "limit": 20, **parameters}
    answer = httpx.get(f"{platform.service}/recommendations", params=query, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


def item_ids(answer: dict) -> list[str]:
    return [entry["item_id"] for entry in answer["recommendations"]]


def live_row(platform, user_id) -> LiveRow | None:
    store = redis.Redis.from_url(platform.settings.store.url)
    return decode_live_row(store.hmget(live_key(user_id), LIVE_FIELDS))


def a_household(platform) -> str:
    """The one with the most events."""
    users = pq.read_table(platform.learnt / "events.parquet", columns=["user_id"])["user_id"]
    return str(Counter(users.to_pylist()).most_common(1)[0][0])


def gold_table(platform, table):
    """The whole table in the order of its key; floats as text, because NaN is not equal to itself."""
    columns = DeltaTable(f"{platform.settings.lake_root}/{table.path}").to_pyarrow_table()
    for place, field in enumerate(columns.schema):
        if pa.types.is_floating(field.type):
            columns = columns.set_column(place, field.name, columns[field.name].cast(pa.string()))
    return columns.sort_by([(name, "ascending") for name in table.key])


def test_every_line_of_the_file_is_in_silver_or_in_quarantine(platform):
    given = pq.read_table(platform.learnt / "events.parquet", columns=["value"])
    accepted = gold_table(platform, SILVER_EVENTS)
    rejected = gold_table(platform, REJECTED_EVENTS)
    assert len(accepted) == pc.sum(pc.greater(given["value"], 0)).as_py()
    assert len(accepted) + len(rejected) == len(given)
    assert set(rejected["reason"].to_pylist()) == {"bad_value"}


def test_answer_has_the_fields_of_the_contract_and_twenty_distinct_items_with_reasons(platform):
    answer = recommendations(platform, a_household(platform))
    assert {"user_id", "recommendations", "candidates_generated", "latency_ms"} <= set(answer)
    assert len(set(item_ids(answer))) == 20
    assert all(entry["reason"] and np.isfinite(entry["score"]) for entry in answer["recommendations"])
    assert answer["candidates_generated"] >= 500


def test_a_known_household_gets_another_list_than_an_unknown_one_which_gets_a_full_list(platform):
    unknown = recommendations(platform, "nobody-has-seen-this-one")
    assert len(set(item_ids(unknown))) == 20
    assert item_ids(unknown) != item_ids(recommendations(platform, a_household(platform)))


def test_related_items_do_not_contain_the_item_itself(platform):
    item = item_ids(recommendations(platform, a_household(platform)))[0]
    related = recommendations(platform, a_household(platform), context="related", item_id=item)
    assert len(set(item_ids(related))) == 20
    assert item not in item_ids(related)


def test_events_change_the_vector_in_the_store_and_the_next_answer(platform):
    user = "a-new-household"
    before = recommendations(platform, user)
    bought = item_ids(before)[-3:]
    for number, item in enumerate(bought, start=1):
        answer = httpx.post(f"{platform.service}/events", json=event("purchase", user, item, value=1))
        assert answer.status_code == 202
        deadline = time.monotonic() + 20
        while (row := live_row(platform, user)) is None or row.count < number:
            assert time.monotonic() < deadline, "the event did not reach the store"
            time.sleep(0.01)
    assert [entry.item_id for entry in row.history] == bought
    assert np.linalg.norm(row.vector) > 0
    after = recommendations(platform, user)
    assert item_ids(after) != item_ids(before)
    assert any("bought" in entry["reason"] for entry in after["recommendations"])


def test_a_refused_event_is_answered_with_its_field_and_the_good_ones_get_in(platform):
    good, bad = event("view", "u", "1", value=3), event("view", "u", "", value=3)
    answer = httpx.post(f"{platform.service}/events", json={"events": [good, bad]})
    assert answer.status_code == 422
    body = answer.json()
    assert body["accepted"] == 1
    assert [(entry["index"], entry["field"]) for entry in body["rejected"]] == [(1, "item_id")]


def test_release_is_registered_as_champion_and_listed(platform):
    listed = json.loads(platform.run("headrace", "release", "list", "--json").stdout)
    assert [sorted(entry["aliases"]) for entry in listed] == [["anchor", "champion"]]


def test_recommend_on_the_command_line_prints_the_same_list(platform):
    user = a_household(platform)
    printed = json.loads(platform.run("headrace", "recommend", user, "--json").stdout)
    assert item_ids(printed) == item_ids(recommendations(platform, user))


def test_computing_a_day_again_gives_the_same_gold_tables_row_for_row(platform):
    gold = [table for table in TABLES if table.layer == "gold"]
    before = {table.name: gold_table(platform, table) for table in gold}
    # Planned and compiled as everybody does, not as for few rows: the rows must not depend on it.
    jobs = ("features,training_sets", "--day", platform.day, "--holdout")
    platform.run("jobs.batch", *jobs)
    for table in gold:
        again = gold_table(platform, table)
        assert len(again) > 0
        assert again.equals(before[table.name]), table.name
