"""The feature store's addresses and definitions come from the settings and the gold tables alone."""

from __future__ import annotations

import pytest
import yaml
from feast import FeatureView

from feature_repo.definitions import definitions
from feature_repo.store import redis_connection, yaml_text
from headrace.features.catalogue import GROUPS
from headrace.features.rows import feature_names
from headrace.settings import PROJECT_ROOT, Settings


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://127.0.0.1:6379/0", "127.0.0.1:6379,db=0"),
        ("redis://valkey", "valkey:6379"),
        ("rediss://:word@store:6380/2", "store:6380,password=word,ssl=true,db=2"),
    ],
)
def test_a_redis_address_becomes_the_form_that_feast_reads(url: str, expected: str) -> None:
    assert redis_connection(url) == expected


def test_each_view_has_exactly_the_features_of_its_gold_table() -> None:
    views = {each.name: each for each in definitions("/lake") if isinstance(each, FeatureView)}
    groups = {group.view: group for group in GROUPS if group.view}
    assert set(views) == set(groups)
    for name, group in groups.items():
        assert [field.name for field in views[name].features] == feature_names(group.table.schema)
        assert f"/lake/{group.table.path}" in views[name].batch_source.query
        assert views[name].online == group.online


def test_the_file_for_the_stock_command_is_that_of_the_default_settings() -> None:
    text = (PROJECT_ROOT / "feature_repo" / "feature_store.yaml").read_text(encoding="utf-8")
    written = yaml.safe_load(text)
    expected = yaml.safe_load(yaml_text(Settings(home=PROJECT_ROOT / "var")))
    for each in (written, expected):  # the jars that this machine has are no part of the file's meaning
        each["offline_store"]["spark_conf"].pop("spark.jars")
    assert written == expected
