"""Where settings come from, and what a mistake in them gets."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from headrace.cli.reference import (
    EVENT_SCHEMA,
    REFERENCE,
    effective_text,
    reference_text,
    schema_text,
)
from headrace.errors import BadInputError
from headrace.settings import PROJECT_ROOT, Settings, load_settings


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("HEADRACE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    load_settings.cache_clear()
    yield
    load_settings.cache_clear()


def own_file(text: str) -> None:
    Path("headrace.toml").write_text(text)


def refused() -> str:
    with pytest.raises(BadInputError) as error:
        load_settings()
    return str(error.value)


def test_the_reference_file_is_what_the_settings_say():
    assert REFERENCE.read_text() == reference_text(), "run `make settings`"


def test_the_event_schema_file_is_what_the_contract_says():
    assert EVENT_SCHEMA.read_text() == schema_text(), "run `make settings`"


def test_the_reference_file_as_own_file_gives_the_defaults():
    defaults = Settings()
    own_file(reference_text())
    assert load_settings() == defaults


def test_the_reference_explains_every_setting():
    lines = reference_text().splitlines()
    settings = [number for number, line in enumerate(lines) if " = " in line and not line.startswith("#")]
    assert len(settings) > 40
    assert all(lines[number - 1].endswith(")") and lines[number - 1].startswith("#") for number in settings)


def test_environment_wins_over_own_file_which_wins_over_the_profile(monkeypatch):
    own_file('profile = "cluster"\n[spark]\nmaster = "yarn"\n[flink]\nparallelism = 8\n')
    monkeypatch.setenv("HEADRACE_FLINK__PARALLELISM", "3")
    settings = load_settings()
    assert (settings.flink.parallelism, settings.spark.master, settings.spark.shuffle_partitions) == (3, "yarn", 400)


def test_profile_cluster_names_the_five_addresses(monkeypatch):
    monkeypatch.setenv("HEADRACE_PROFILE", "cluster")
    settings = load_settings()
    addresses = [
        settings.spark.master,
        settings.kafka.bootstrap_servers,
        settings.store.url,
        settings.lake_root,
        settings.mlflow.tracking_uri,
    ]
    assert not any("127.0.0.1" in address or "local" in address for address in addresses)


def test_a_child_process_in_another_folder_gets_the_same_settings(monkeypatch, tmp_path):
    own_file('home = "mine"\n[serving]\nlog_impressions = false\n')
    settings = load_settings()
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert Settings() == settings.model_copy(update={"home": tmp_path / "mine"})


def test_printed_settings_can_be_read_back():
    settings = load_settings()
    assert Settings(**tomllib.loads(effective_text(settings))) == settings


def test_relative_folder_of_jars_counts_from_the_project():
    assert Settings(jars="some/jars").jars == PROJECT_ROOT / "some" / "jars"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[kafak]\npartitions = 2\n", "there is no setting 'kafak'; did you mean 'kafka'?"),
        ("[kafka]\npartition = 2\n", "there is no setting 'kafka.partition'; did you mean 'kafka.partitions'?"),
        ("hoem = 'x'\n", "there is no setting 'hoem'; did you mean 'home'?"),
        ("[store]\nulr = 'x'\n", "there is no setting 'store.ulr'; did you mean 'store.url'?"),
        ("zzz = 1\n", "there is no setting 'zzz'."),
        ("[serving]\nport = 'web'\n", "setting 'serving.port' is 'web': input should be a valid integer"),
        ("[kafka\n", "headrace.toml is not valid TOML"),
    ],
)
def test_a_mistake_in_the_own_file_is_reported_in_one_sentence(text, told):
    own_file(text)
    message = refused()
    assert told in message and "\n" not in message and "docs/settings.toml" in message


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("HEADRACE_HOEM", "x", "HEADRACE_HOEM: there is no setting 'hoem'; did you mean 'home'?"),
        ("headrace_hoem", "x", "headrace_hoem: there is no setting 'hoem'; did you mean 'home'?"),
        ("HEADRACE_STORE_URL", "redis://", "there is no setting 'store_url'; did you mean 'store.url'?"),
        ("HEADRACE_STORE__ULR", "redis://", "there is no setting 'store.ulr'; did you mean 'store.url'?"),
        ("HEADRACE_STORE", '{"ulr": "redis://"}', "there is no setting 'store.ulr'; did you mean 'store.url'?"),
        ("HEADRACE_HOME__X", "1", "HEADRACE_HOME__X: there is no setting 'home.x'"),
        ("HEADRACE_ZZZ", "1", "HEADRACE_ZZZ: there is no setting 'zzz'."),
        ("HEADRACE_KAFAK__PARTITIONS", "2", "there is no setting 'kafak'; did you mean 'kafka'?"),
        ("HEADRACE_KAFKA__PARTITION", "2", "there is no setting 'kafka.partition'"),
        ("HEADRACE_KAFKA__PARTITIONS", "0", "setting 'kafka.partitions' is '0'"),
        ("HEADRACE_PROFILE", "production", "setting 'profile' is 'production'"),
        ("HEADRACE_CONFIG", "nowhere.toml", "HEADRACE_CONFIG names nowhere.toml, which is not a file"),
    ],
)
def test_a_mistake_in_a_variable_is_reported_in_one_sentence(monkeypatch, variable, value, told):
    monkeypatch.setenv(variable, value)
    assert told in refused()


def test_variables_of_the_projects_own_that_are_no_settings_are_taken(monkeypatch, tmp_path):
    (tmp_path / "mine.toml").write_text("")
    own = {
        "HEADRACE_CONFIG": "mine.toml",
        "HEADRACE_TRACES": "stderr",
        "HEADRACE_PART_TOKEN": "a1",
        "HEADRACE_JARS": "j",
    }
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    assert load_settings().jars == PROJECT_ROOT / "j"
