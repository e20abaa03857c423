"""A small release, users that can be checked by eye, and a lake that holds them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import deltalake
import httpx
import numpy as np
import psutil
import pyarrow as pa
import pytest
import redis

from headrace.features import rows as feature_rows
from headrace.features.user_row import HistoryEvent, OwnItems, UserRow
from headrace.settings import Settings
from headrace.tables import GOLD_RANKING_EXAMPLES, GOLD_USER_FEATURES, GOLD_USER_ITEM_FEATURES, Table, end_of
from serving.pipeline.recommender import Recommender, load_recommender
from tests.small_release import item_names, tiny_full_release

DAY = date(2026, 11, 22)
AS_OF = int(end_of(DAY).timestamp() * 1_000_000)
HOUR = 3_600_000_000
ITEMS = item_names(900)


@pytest.fixture(scope="session")
def release_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed release of 900 items; item-0 is the most popular."""
    return tiny_full_release(tmp_path_factory.mktemp("releases") / "full", items=ITEMS).folder


@pytest.fixture(scope="session")
def recommender(release_folder: Path) -> Recommender:
    """The recommender over that release, 500 candidates a request."""
    return load_recommender(release_folder, 500)


HAPPENED_TO_BEN = {
    "target_clicks": [2.0],
    "target_carts": [1.0],
    "target_purchases": [0.0],
    "target_dwell": [7.5],
    "shown_items": ["item-300", "item-301"],
    "shown_positions": [4, 0],
    "shown_propensities": [0.5, 0.25],
}
"""With what ben took in the holdout: anna's row is from before there were such columns."""


def buyer(user_id: str, bought: Mapping[str, int]) -> UserRow:
    """A user who bought each item so many times, the last time in the order given, an hour apart."""
    history = [
        HistoryEvent(AS_OF - (len(bought) - place) * HOUR, f"{user_id}-{item}", item, "purchase")
        for place, item in enumerate(bought)
    ]
    best_first = sorted(bought, key=lambda item: -bought[item])
    counts = np.array([bought[item] for item in best_first], np.float32)
    last = {event.item_id: event.timestamp for event in history}
    times = np.array([last[item] for item in best_first], np.int64)
    own = OwnItems(best_first, counts, counts, times, times)
    return UserRow(user_id, AS_OF, history, own, int(counts.sum()), len(bought), {"age": "25-34"})


def feature_values(user: UserRow) -> dict[str, Any]:
    """The row of `gold.user_features` that `user` comes from, without its day."""
    moment = datetime.fromtimestamp(user.as_of / 1e6, tz=UTC)
    return {
        "user_id": user.user_id,
        "event_timestamp": moment,
        "created_timestamp": moment,
        "history_event_ids": [event.event_id for event in user.history],
        "history_items": [event.item_id for event in user.history],
        "history_types": [event.event_type for event in user.history],
        "history_timestamps": [event.timestamp for event in user.history],
        "own_items": user.own.items,
        "own_counts": user.own.counts.tolist(),
        "own_decayed_counts": user.own.decayed_counts.tolist(),
        "own_first_timestamps": user.own.first_timestamps.tolist(),
        "own_last_timestamps": user.own.last_timestamps.tolist(),
        "events_total": user.events_total,
        "baskets_total": user.baskets_total,
        "profile_keys": list(user.profile),
        "profile_values": list(user.profile.values()),
    }


LAKE_USERS = (
    buyer("anna", {"item-7": 3, "item-50": 1}),
    buyer("ben", {f"item-{number}": 1 for number in range(300, 340)}),
    UserRow("nobody", AS_OF),
)


@pytest.fixture(scope="session")
def lake_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings whose lake holds `LAKE_USERS` on `DAY`: anna buys item-50 twice and item-899 once in the holdout."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    rows = [feature_values(user) | {"day": DAY} for user in LAKE_USERS]
    _write(settings, GOLD_USER_FEATURES, rows)
    _write(
        settings,
        GOLD_USER_FEATURES,
        [feature_values(buyer("anna", {"item-1": 9})) | {"day": DAY - timedelta(days=1)}],
    )
    taken = {"anna": {"item-50": 2.0, "item-899": 1.0}, "ben": {"item-300": 1.0}, "nobody": {"item-1": 1.0}}
    _write(
        settings,
        GOLD_RANKING_EXAMPLES,
        [
            row
            | {"target_items": list(taken[row["user_id"]]), "target_counts": list(taken[row["user_id"]].values())}
            | more
            for row, more in zip(rows, ({}, HAPPENED_TO_BEN, {}), strict=True)
        ],
    )
    _write(
        settings,
        GOLD_USER_ITEM_FEATURES,
        [
            {"user_id": user.user_id, "item_id": item, "day": day}
            for day in (DAY, DAY - timedelta(days=settings.training.holdout_days))
            for user in LAKE_USERS
            for item in [*user.own.items, "item-0"]
        ],
    )
    return settings


def _write(settings: Settings, table: Table, rows: list[dict[str, Any]]) -> None:
    place = f"{settings.lake_root}/{table.path}"
    deltalake.write_deltalake(place, pa.Table.from_pylist(rows, table.schema), mode="append", partition_by=["day"])


class ServiceProcess(NamedTuple):
    """A running service: who asks it, and its processes."""

    client: httpx.Client
    process: psutil.Process

    def beside(self, module: str = "") -> list[psutil.Process]:
        """The processes below the main one; of one module where it is named."""
        return [one for one in self.process.children(recursive=True) if not module or module in one.cmdline()]


@contextmanager
def service_process(settings: Settings) -> Iterator[ServiceProcess]:
    """`python -m serving` with these settings, ready."""
    environment = {**os.environ, **settings.as_environment()}
    process = subprocess.Popen([sys.executable, "-m", "serving"], env=environment)
    with httpx.Client(base_url=f"http://127.0.0.1:{settings.serving.port}", timeout=30) as client:
        try:
            deadline = time.monotonic() + 60
            while not _is_ready(client):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield ServiceProcess(client, psutil.Process(process.pid))
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.HTTPError:
        return False


def store_rows(settings: Settings, *users: UserRow) -> None:
    """Write the batch rows of `users` to the online store."""
    names = feature_rows.feature_names(GOLD_USER_FEATURES.schema)
    kinds = {name: feature_rows.value_kind(GOLD_USER_FEATURES.schema.field(name).type) for name in names}
    moment = datetime.fromtimestamp(AS_OF / 1e6, tz=UTC)
    with redis.Redis.from_url(settings.store.url) as client:
        for user in users:
            row = feature_rows.encode_row(feature_rows.USER_VIEW, kinds, feature_values(user), moment)
            client.hset(feature_rows.row_key(feature_rows.USER_KEY, user.user_id), mapping=row)
