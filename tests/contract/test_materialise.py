"""Materialise writes what is new, what came late, and everything where asked; rows expire; older ones never win."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from pyspark.sql import SparkSession

from headrace.errors import HeadraceError, ServiceError
from headrace.features import rows as online
from headrace.settings import Settings
from headrace.tables import GOLD_ITEM_FEATURES, GOLD_USER_FEATURES
from infra.local.services import local_services
from jobs.batch.engine.lake import Lake, spark_schema
from jobs.batch.online.materialise import materialise
from tests.conftest import free_ports
from tests.contract.test_feature_rows import ANN, AS_OF, CAT, DAY, MILK

NEXT_DAY = DAY + timedelta(days=1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A store of its own, without the other services."""
    url = f"redis://127.0.0.1:{free_ports(1)[0]}/0"
    settings = Settings(home=tmp_path_factory.mktemp("store"), store={"url": url})
    with local_services(settings, ("valkey",)) as running:
        yield running


@pytest.fixture
def settings(store: Settings, tmp_path: Path) -> Settings:
    """An empty store and an empty lake."""
    with client(store) as connection:
        connection.flushall()
    return store.model_copy(update={"home": tmp_path})


@pytest.fixture
def lake(spark: SparkSession, settings: Settings) -> Lake:
    """Ann, Cat and milk on the first day."""
    lake = Lake(spark, settings.lake_root)
    write(lake, DAY, [ANN, CAT])
    write(lake, DAY, [MILK], GOLD_ITEM_FEATURES)
    return lake


def client(settings: Settings) -> redis.Redis:
    return redis.Redis.from_url(settings.store.url)


def write(lake: Lake, day: Any, rows: list[dict[str, Any]], table: Any = GOLD_USER_FEATURES) -> None:
    lake.overwrite_day(lake.spark.createDataFrame(rows, spark_schema(table.schema)), table, day)


def as_of(row: dict[str, Any], moment: datetime, **changed: Any) -> dict[str, Any]:
    """The row as computed at, and for, another moment."""
    return {**row, "event_timestamp": moment, "created_timestamp": moment, **changed}


def events_total(settings: Settings, user: str) -> tuple[int | None, int | None]:
    """What the store holds of a user: its number of events and the time that the row speaks of."""
    with client(settings) as store:
        fields = online.row_fields(online.USER_VIEW, ["events_total"])
        value, time = store.hmget(online.row_key(online.USER_KEY, user), fields)
    return online.decode_value(value), online.decode_time(time)


def micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


def test_the_next_day_writes_that_days_rows_and_leaves_who_is_not_in_it(lake: Lake, settings: Settings) -> None:
    settings.store.overlap_hours = 0
    assert materialise(lake, settings, DAY) == 3
    later = AS_OF + timedelta(days=1)
    write(lake, NEXT_DAY, [as_of(ANN, later, events_total=7)])
    write(lake, NEXT_DAY, [as_of(MILK, later)], GOLD_ITEM_FEATURES)
    assert materialise(lake, settings, NEXT_DAY) == 2
    assert events_total(settings, "ann") == (7, micros(later))
    assert events_total(settings, "cat") == (0, micros(AS_OF))
    assert materialise(lake, settings, NEXT_DAY) == 0, "nothing is new"
    settings.store.overlap_hours = 24


def test_a_row_recomputed_for_a_day_long_written_is_written(lake: Lake, settings: Settings) -> None:
    later = AS_OF + timedelta(days=40)
    far = (later - timedelta(microseconds=1)).date()
    write(lake, far, [as_of(CAT, later)])
    write(lake, far, [as_of(MILK, later)], GOLD_ITEM_FEATURES)
    materialise(lake, settings, far)
    write(lake, DAY, [{**ANN, "events_total": 99, "created_timestamp": later + timedelta(hours=1)}, CAT])
    assert materialise(lake, settings, far) == 3, "ann anew; cat and milk of the overlap"
    assert events_total(settings, "ann") == (99, micros(AS_OF))
    assert events_total(settings, "cat") == (0, micros(later))


def test_a_store_that_was_emptied_gets_everything_again_and_full_writes_everything(
    lake: Lake, settings: Settings
) -> None:
    assert materialise(lake, settings, DAY) == 3
    with client(settings) as store:
        store.flushall()
    assert materialise(lake, settings, DAY) == 3
    assert events_total(settings, "ann") == (2**40, micros(AS_OF))
    with client(settings) as store:
        store.delete(online.row_key(online.USER_KEY, "ann"))
    assert materialise(lake, settings, DAY, full=True) == 3
    assert events_total(settings, "ann") == (2**40, micros(AS_OF))


@pytest.mark.parametrize(("days", "seconds"), [(90, 90 * 86_400), (0, -1)])
def test_rows_expire_after_the_days_in_the_settings_or_never(
    lake: Lake, settings: Settings, days: int, seconds: int
) -> None:
    own = settings.store.model_copy(update={"feature_row_ttl_days": days})
    materialise(lake, settings.model_copy(update={"store": own}), DAY)
    with client(settings) as store:
        left = store.ttl(online.row_key(online.USER_KEY, "ann"))
    assert seconds - 60 <= left <= seconds


def test_a_day_without_features_and_a_store_that_is_away_are_named(lake: Lake, settings: Settings) -> None:
    with pytest.raises(HeadraceError, match=f"gold.user_features has no rows for {NEXT_DAY}"):
        materialise(lake, settings, NEXT_DAY)
    away = settings.store.model_copy(update={"url": f"redis://127.0.0.1:{free_ports(1)[0]}/0"})
    with pytest.raises(ServiceError, match="is not reachable"):
        materialise(lake, settings.model_copy(update={"store": away}), DAY)
