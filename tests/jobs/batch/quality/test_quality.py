"""Planted faults are each found and named, a clean world passes, and what comes after a failed check never runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from headrace.errors import HeadraceError
from headrace.expectations import Stage
from headrace.features.catalogue import GROUPS
from headrace.settings import Settings
from headrace.tables import (
    GOLD_ITEM_FEATURES,
    GOLD_RETRIEVAL_EXAMPLES,
    GOLD_USER_BEHAVIOUR,
    GOLD_USER_FEATURES,
    GOLD_USER_ITEM_FEATURES,
    QUALITY_RESULTS,
    SILVER_EVENTS,
    SILVER_USERS,
    Table,
)
from jobs.batch import __main__ as command
from jobs.batch.engine.lake import Lake
from jobs.batch.engine.verified import current_versions, passed_versions, republished
from jobs.batch.features.job import compute_features
from jobs.batch.quality.drift import check_drift
from jobs.batch.quality.findings import Finding, QualityError
from jobs.batch.quality.job import check_quality, publish
from jobs.batch.training.recipe import current_recipe
from tests.jobs.batch.worlds import AS_OF, DAY, collected, days_before, purchase, take_in

WEEK = timedelta(days=7)


@pytest.fixture(scope="module")
def clean_home(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten users buy milk at noon of the day and of the same weekday in the four weeks before."""
    home = tmp_path_factory.mktemp("quality")
    settings = Settings(home=home)
    lake = Lake(spark, settings.lake_root)
    events = [
        purchase(f"{user}-{week}", f"user{user}", "milk", days_before(7 * week), price=2.0)
        for user in range(10)
        for week in range(5)
    ]
    items = [{"item_id": "milk", "price": 2}, {"item_id": "bread", "price": 3}]
    users = [{"user_id": f"user{user}", "age": "65+" if user < 5 else "25-34"} for user in range(10)]
    take_in(lake, home / "files", "w", received=AS_OF - timedelta(hours=1), events=events, items=items, users=users)
    compute_features(lake, settings, DAY)
    return home


@pytest.fixture
def settings(clean_home: Path, tmp_path: Path) -> Settings:
    """A copy of the clean world to plant faults in."""
    shutil.copytree(clean_home / "lake", tmp_path / "lake")
    return Settings(home=tmp_path)


def plant(lake: Lake, table: Table, change: DataFrame) -> None:
    change.localCheckpoint().write.format("delta").mode("overwrite").save(lake.path(table))


def failures(lake: Lake, settings: Settings, *stages: Stage) -> str:
    with pytest.raises(QualityError) as stopped:
        check_quality(lake, settings, DAY, stages)
    return str(stopped.value)


def not_passed(findings: Sequence[Finding]) -> set[tuple[str, str, str]]:
    return {(finding.table, finding.column, finding.rule) for finding in findings if not finding.passed}


def test_a_clean_world_passes_and_is_kept_and_reported(lake: Lake, settings: Settings) -> None:
    findings = check_quality(lake, settings, DAY, ["clean", "features"])
    assert not_passed(findings) == set()
    volume = next(finding for finding in findings if finding.rule == "volume")
    assert (volume.checked, volume.measured) == (10, 1.0)
    check_quality(lake, settings, DAY, ["features"])  # again: replaces its own stage and leaves the other
    kept = collected(lake, QUALITY_RESULTS)
    assert len(kept) == len(findings)
    assert all(row["passed"] for row in kept)
    page = (settings.reports / "quality" / f"{DAY}.html").read_text()
    assert f"0 failed, 0 warnings, {len(findings)} passed" in page


def test_faults_in_events_are_named_with_table_column_rule_count_and_rows(lake: Lake, settings: Settings) -> None:
    events = lake.read(SILVER_EVENTS)
    broken = F.col("event_id")
    twice = events.where("event_id = '3-0'")
    events = events.withColumn("subject_id", F.when(broken == "1-0", None).otherwise(F.col("subject_id")))
    events = events.withColumn("price", F.when(broken == "2-0", -1.0).otherwise(F.col("price")))
    events = events.withColumn("item_id", F.when(broken.like("%-0"), F.lit("yeti")).otherwise(F.col("item_id")))
    plant(lake, SILVER_EVENTS, events.unionByName(twice))
    told = failures(lake, settings, "clean")
    assert "4 expectations failed" in told
    assert "silver.events, column 'subject_id', rule not_null: 1 of 51 rows break it" in told
    assert "silver.events, column 'price', rule range: 1 of 51 rows break it: 'price' must be at least 0" in told
    assert '"event_id":"2-0"' in told.split("must be at least 0")[1].split("\n")[0]
    assert "silver.events, column 'event_id', rule unique: 1 of 51 rows repeat the key of another row" in told
    assert '{"event_id":"3-0","rows":2}' in told
    assert "rule reference: 10 of 11 rows have a item_id that is not in silver.items" in told
    with pytest.raises(HeadraceError, match="silver has not passed its checks yet"):
        compute_features(lake, settings, DAY)
    page = (settings.reports / "quality" / f"{DAY}.html").read_text()
    assert "4 failed" in page
    assert "{&quot;event_id&quot;:&quot;3-0&quot;,&quot;rows&quot;:2}" in page


def test_rows_that_failed_are_in_no_features_until_they_are_mended(lake: Lake, settings: Settings) -> None:
    check_quality(lake, settings, DAY, ["clean"])
    late = lake.read(SILVER_EVENTS).where("event_id = '1-1'")  # of a week ago, in a day that was checked before
    lake.append(late.withColumns({"event_id": F.lit("late"), "price": F.lit(-1.0)}), SILVER_EVENTS)
    assert "column 'price', rule range: 1 of 21 rows break it" in failures(lake, settings, "clean")
    said = publish(lake, settings, DAY + timedelta(days=1))
    assert "silver is read as it last passed its checks" in said
    assert "column 'price', rule range: 1 of 11 rows break it" in said

    def events_of_user1() -> int:
        compute_features(lake, settings, DAY)
        return next(row["events_total"] for row in collected(lake, GOLD_USER_FEATURES) if row["user_id"] == "user1")

    assert events_of_user1() == 5
    assert current_recipe(lake, settings, DAY).versions[SILVER_EVENTS.path] < lake.version(SILVER_EVENTS)
    DeltaTable.forPath(lake.spark, lake.path(SILVER_EVENTS)).update("event_id = 'late'", {"price": F.lit(1.0)})
    assert publish(lake, settings, DAY) == ""
    assert passed_versions(lake) == current_versions(lake)
    assert events_of_user1() == 6


def test_versions_that_passed_stay_so_when_somebody_is_forgotten() -> None:
    before, after = {"silver/events": 4, "silver/users": 1}, {"silver/events": 5, "silver/users": 1}
    assert republished(before, after, passed=before) == after
    assert republished(before, after, passed={"silver/events": 3, "silver/users": 1}) == {}


def test_one_unknown_item_among_many_is_a_warning(lake: Lake, settings: Settings) -> None:
    item = F.when(F.col("event_id") == "1-0", F.lit("yeti")).otherwise(F.col("item_id"))
    plant(lake, SILVER_EVENTS, lake.read(SILVER_EVENTS).withColumn("item_id", item))
    findings = check_quality(lake, settings, DAY, ["clean"])
    (warning,) = [finding for finding in findings if not finding.passed]
    assert (warning.column, warning.rule, warning.severity, warning.broken) == ("item_id", "reference", "warn", 1)
    assert '"item_id":"yeti"' in warning.samples[0]


def test_a_day_without_its_usual_events_is_named(lake: Lake, settings: Settings) -> None:
    plant(lake, SILVER_EVENTS, lake.read(SILVER_EVENTS).where(F.col("day") < F.lit(DAY)))
    told = failures(lake, settings, "clean")
    assert f"column 'day', rule volume: 0 rows on Friday {DAY}, 0.00 times the 10 of a usual Friday" in told
    assert f"column 'timestamp', rule fresh: the newest row is 7.5 days old at the end of {DAY}" in told


def test_refused_rows_beyond_the_limit_are_named_with_their_reasons(lake: Lake, settings: Settings) -> None:
    good = purchase("good", "user1", "milk", days_before(0, hour=13))
    bad = [purchase(f"bad{number}", "user1", "milk", "yesterday or so") for number in range(30)]
    received = AS_OF - timedelta(minutes=5)
    assert take_in(lake, settings.home / "files", "bad", received=received, events=[good, *bad]).rejected == 30
    told = failures(lake, settings, "clean")
    assert "bronze.rejected_events, rule refused_share: 30 of 93 rows received were refused (bad_timestamp 30)" in told
    assert "bad-events.jsonl, row 2" in told


def test_faults_in_features_are_named(lake: Lake, settings: Settings) -> None:
    items = lake.read(GOLD_ITEM_FEATURES)
    rate = F.when(F.col("item_id") == "milk", 1.5).otherwise(F.lit(float("nan"))).cast("float")
    plant(lake, GOLD_ITEM_FEATURES, items.where("item_id = 'milk'").withColumn("repeat_rate", rate))
    users = lake.read(GOLD_USER_FEATURES).where("user_id <> 'user7'")
    future = F.transform("history_timestamps", lambda time: time + int(WEEK.total_seconds() * 1_000_000))
    plant(lake, GOLD_USER_FEATURES, users.withColumn("history_timestamps", future))
    told = failures(lake, settings, "features")
    assert "3 expectations failed" in told
    assert "gold.item_features, column 'repeat_rate', rule range: 1 of 1 rows break it" in told
    assert "gold.user_features, column 'history_timestamps', rule before_as_of: 9 of 9 rows break it" in told
    assert "rule reference: 1 of 10 rows have a user_id that is not in gold" in told
    assert '"user_id":"user7"' in told


@pytest.fixture
def same_spark(spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """`main` runs in the session of the tests, with the settings of the test."""

    @contextmanager
    def session(*_: Any) -> Iterator[SparkSession]:
        yield spark

    monkeypatch.setattr("jobs.batch.engine.session.spark_session", session)
    monkeypatch.setattr(command, "load_settings", lambda: settings)


@pytest.mark.usefixtures("same_spark")
def test_a_failed_check_ends_the_run_with_exit_code_1_before_training_sets_are_written(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    users = lake.read(SILVER_USERS)
    plant(lake, SILVER_USERS, users.unionByName(users.where("user_id = 'user3'")))
    assert command.main(["features,quality,training_sets", "--day", f"{DAY}"]) == 1
    told = capsys.readouterr().err
    assert "gold.user_features, column 'user_id, day', rule unique: 1 of 11 rows repeat the key" in told
    assert '"user_id":"user3"' in told
    assert not lake.exists(GOLD_RETRIEVAL_EXAMPLES)


@pytest.mark.usefixtures("same_spark")
def test_without_a_release_there_is_nothing_to_compare_and_the_run_goes_on(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.serving.release = str(settings.home / "no" / "release")
    assert command.main(["drift", "--day", f"{DAY}"]) == 0
    assert "nothing compared" in capsys.readouterr().out


def test_a_drifted_feature_is_named_and_the_others_are_not(lake: Lake, settings: Settings) -> None:
    old = DAY - WEEK
    for table in (GOLD_USER_FEATURES, GOLD_USER_BEHAVIOUR, GOLD_ITEM_FEATURES, GOLD_USER_ITEM_FEATURES):
        lake.overwrite_day(lake.read(table).where(F.col("day") == F.lit(DAY)), table, old)
    assert not_passed(check_drift(lake, settings, DAY, old)) == set()
    behaviour = lake.read(GOLD_USER_BEHAVIOUR).where(F.col("day") == F.lit(DAY))
    morning = behaviour.withColumn("hours", F.reverse("hours"))  # noon, the 13th of 24, becomes 11
    lake.overwrite_day(morning.localCheckpoint(), GOLD_USER_BEHAVIOUR, DAY)
    met = lake.read(GOLD_USER_ITEM_FEATURES).where(F.col("day") == F.lit(DAY))
    longer = met.withColumn("days_since", F.col("days_since") + 7)
    lake.overwrite_day(longer.localCheckpoint(), GOLD_USER_ITEM_FEATURES, DAY)
    users = lake.read(GOLD_USER_FEATURES).where(F.col("day") == F.lit(DAY))
    older = F.when(F.col("user_id") == "user0", F.array(F.lit("100+"))).otherwise(F.col("profile_values"))
    changed = users.withColumn("events_total", F.col("events_total") * 3).withColumn("profile_values", older)
    lake.overwrite_day(changed.localCheckpoint(), GOLD_USER_FEATURES, DAY)
    items = lake.read(GOLD_ITEM_FEATURES).where(F.col("day") == F.lit(DAY))
    lake.overwrite_day(items.withColumn("price", F.lit(float("nan"))).localCheckpoint(), GOLD_ITEM_FEATURES, DAY)
    findings = check_drift(lake, settings, DAY, old)
    assert not_passed(findings) == {
        ("gold.user_features", "events_total", "psi"),
        ("gold.user_features", "events_total", "ks"),
        ("gold.user_features", "profile_values", "psi"),
        ("gold.user_features", "profile_values", "new_categories"),
        ("gold.user_behaviour", "hours", "psi"),
        ("gold.user_behaviour", "hours", "new_categories"),
        ("gold.item_features", "price", "null_rate"),
        ("gold.user_item_features", "days_since", "psi"),
        ("gold.user_item_features", "days_since", "ks"),
    }
    new = {finding.column: finding for finding in findings if finding.rule == "new_categories" and not finding.passed}
    assert (new["profile_values"].measured, new["profile_values"].message) == (0.1, "1 new: age=100+")
    assert (new["hours"].measured, new["hours"].message) == (1.0, "1 new: 11")
    assert {finding.table for finding in findings} == {f"gold.{group.table.name}" for group in GROUPS}
    metrics = (settings.reports / "drift.prom").read_text()
    assert 'headrace_feature_drifted{table="gold.user_features",feature="events_total",measure="ks"} 1' in metrics
    assert 'headrace_feature_drifted{table="gold.user_features",feature="baskets_total",measure="ks"} 0' in metrics
    assert {row["against"] for row in collected(lake, QUALITY_RESULTS)} == {old}


def test_a_day_without_features_to_compare_with_says_what_to_run(lake: Lake, settings: Settings) -> None:
    with pytest.raises(HeadraceError, match="features --day 2020-01-01"):
        check_drift(lake, settings, DAY, DAY.replace(year=2020, month=1, day=1))
