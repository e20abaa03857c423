"""The feature catalogue says what the tables, the code and the page say."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import pytest

from headrace.features.catalogue import CONTEXT, GROUPS, USER_BEHAVIOUR, USER_FEATURES, Feature, FeatureGroup
from headrace.features.context import ContextFeatures
from headrace.features.page import PAGE, page_text, window_text
from headrace.features.rows import feature_names
from headrace.settings.jobs import FeatureSettings
from headrace.tables import TABLES


def test_the_page_is_what_the_catalogue_says():
    assert PAGE.read_text() == page_text(), "run `make settings`"


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.table.name)
def test_every_column_of_a_gold_table_is_declared_once_and_no_other(group: FeatureGroup):
    assert [feature.name for feature in group.features] == feature_names(group.table.schema)


def test_every_gold_table_of_features_has_a_group():
    computed = {table for table in TABLES if table.layer == "gold" and not table.name.endswith("_examples")}
    assert {group.table.path for group in GROUPS} == {table.path for table in computed}


@cache
def source_of(module: str) -> str:
    spec = importlib.util.find_spec(module)
    assert spec and spec.origin, f"no module {module}"
    return Path(spec.origin).read_text()


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.table.name)
def test_owners_and_users_are_code_that_there_is(group: FeatureGroup):
    module, function = group.owner.rsplit(".", 1)
    assert f"\ndef {function}(" in source_of(module)
    for feature in group.features:
        for module in feature.also_used_by:
            assert f'"{feature.name}"' in source_of(module), f"{module} does not read {feature.name}"


def test_context_features_are_those_of_the_function_and_used_where_it_says():
    assert [feature.name for feature in CONTEXT] == list(ContextFeatures._fields)
    whole = "context_features("
    parts = {"hour": "hour_of(", "weekday": "weekday_of(", "device": "named_sql(", "surface": "named_sql("}
    for feature in CONTEXT:
        for module in feature.used_by:
            text = source_of(module)
            assert whole in text or parts.get(feature.name, whole) in text, f"{module} does not use {feature.name}"


def test_a_window_shows_its_settings_with_their_defaults():
    assert window_text(Feature("x", "", "{trend_days} days")) == f"{FeatureSettings().trend_days} days (`trend_days`)"
    assert window_text(Feature("x", "", "all time")) == "all time"


def test_a_feature_names_its_readers_and_an_unused_one_has_none():
    (baskets,) = (feature for feature in USER_FEATURES.features if feature.name == "baskets_total")
    assert list(USER_FEATURES.used_by(baskets)) == ["serving's user row"]
    assert not list(USER_BEHAVIOUR.used_by(USER_BEHAVIOUR.features[0]))
