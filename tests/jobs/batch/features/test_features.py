"""Gold features and training sets: exactly what was known at the time, and the same on every run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from headrace.errors import HeadraceError
from headrace.settings import Settings
from headrace.tables import (
    GOLD_ITEM_FEATURES,
    GOLD_RANKING_EXAMPLES,
    GOLD_RETRIEVAL_EXAMPLES,
    GOLD_USER_BEHAVIOUR,
    GOLD_USER_FEATURES,
    GOLD_USER_ITEM_FEATURES,
    SILVER_EVENTS,
    SILVER_USERS,
    end_of,
)
from jobs.batch.__main__ import job_arguments, run_jobs
from jobs.batch.engine.lake import Lake
from jobs.batch.features.job import compute_features, days_with_late_events
from jobs.batch.features.users import interest_before
from jobs.batch.training.sets import ranking_examples, retrieval_examples, write_training_sets
from tests.jobs.batch.worlds import AS_OF, DAY, collected, days_before, purchase, take_in

GOLD = (GOLD_USER_FEATURES, GOLD_USER_BEHAVIOUR, GOLD_ITEM_FEATURES, GOLD_USER_ITEM_FEATURES)
HOLDOUT_DAY = DAY - timedelta(days=28)


def of_day(lake: Lake, table: Any, day: date) -> list[dict[str, Any]]:
    return [row for row in collected(lake, table, *table.key) if row["day"] == day]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="module")
def world(spark: SparkSession, settings: Settings) -> Lake:
    """Ann buys milk three times (once as two lines of a receipt) and bread once; Bob looks; Cat has but a profile."""
    events = [
        purchase("a1", "ann", "milk", days_before(84), price=1.0),
        purchase("a2", "ann", "milk", days_before(40), price=2.0),
        purchase("a3", "ann", "milk", days_before(40), price=4.0),
        purchase("a4", "ann", "bread", days_before(1), price=3.0, context={"device": " Phone ", "surface": "search"}),
        purchase("a5", "ann", "milk", days_before(0), price=9.0),
        {
            "event_id": "b1",
            "event_type": "view",
            "user_id": "bob",
            "item_id": "milk",
            "timestamp": days_before(2),
            "value": 12.5,
        },
        {
            "event_id": "b2",
            "event_type": "impression",
            "user_id": "bob",
            "item_id": "bread",
            "timestamp": days_before(2),
            "position": 3,
            "context": {"propensity": "0.25"},
        },
        purchase("late", "ann", "tea", days_before(-1)),
    ]
    items = [
        {"item_id": "milk", "category_1": "dairy"},
        {"item_id": "bread", "category_1": "food", "category_2": "bakery"},
        {"item_id": "soap", "price": 5},
    ]
    users = [{"user_id": "cat", "size": "2", "age": "65+"}]
    lake = Lake(spark, settings.lake_root)
    received = datetime(2026, 11, 23, tzinfo=UTC)
    take_in(lake, settings.home / "files", "w", received=received, events=events, items=items, users=users)
    compute_features(lake, settings, HOLDOUT_DAY, DAY)
    return lake


def test_features_of_a_small_world(world: Lake) -> None:
    ann, bob, cat = of_day(world, GOLD_USER_FEATURES, DAY)
    assert ann["history_items"] == ["milk", "milk", "milk", "bread", "milk"]
    assert ann["history_event_ids"] == ["a1", "a2", "a3", "a4", "a5"]
    assert (ann["own_items"], ann["own_counts"]) == (["milk", "bread"], [3.0, 1.0])
    decayed = [0.5 ** ((days + 0.5) / 84) for days in (84, 40, 0)]
    assert ann["own_decayed_counts"] == pytest.approx([sum(decayed), 0.5 ** (1.5 / 84)])
    assert (ann["events_total"], ann["baskets_total"]) == (5, 4)
    assert (bob["history_items"], bob["history_types"], bob["events_total"]) == (["milk"], ["view"], 1)
    assert (cat["history_items"], cat["profile_keys"], cat["profile_values"]) == ([], ["age", "size"], ["65+", "2"])
    bread, milk, soap = of_day(world, GOLD_ITEM_FEATURES, DAY)
    assert (milk["popularity"], milk["purchases"], milk["users_total"], milk["repeat_rate"]) == (2.0, 3.0, 2.0, 0.5)
    assert (milk["price"], bread["price"], soap["price"]) == (4.0, 3.0, 5.0)
    assert (soap["popularity"], soap["users_total"], milk["age_days"]) == (0.0, 0.0, 84.5)
    assert soap["age_days"] != soap["age_days"]  # NaN: never seen


def test_each_meeting_of_user_and_item_has_its_affinity_counts_and_time_since(world: Lake) -> None:
    meetings = of_day(world, GOLD_USER_ITEM_FEATURES, DAY)
    rows = {(row["user_id"], row["item_id"]): row for row in meetings}
    milk, bread, looked = (rows[pair] for pair in (("ann", "milk"), ("ann", "bread"), ("bob", "milk")))
    assert [milk[name] for name in ("views", "carts", "purchases", "count")] == [0, 0, 4, 3]
    assert [looked[name] for name in ("views", "carts", "purchases", "affinity")] == [1, 0, 0, 1]
    assert (milk["days_since"], bread["days_since"]) == (0.5, 1.5)
    decayed = [sum(0.5 ** ((days + 0.5) / 84) for days in (84, 40, 0)), 0.5 ** (1.5 / 84)]
    assert [milk["affinity"], bread["affinity"]] == pytest.approx([each / sum(decayed) for each in decayed])


def test_users_have_counts_hours_spend_and_preferred_categories_of_the_last_weeks(world: Lake) -> None:
    ann, bob = of_day(world, GOLD_USER_BEHAVIOUR, DAY)
    counts = ("views", "purchases", "baskets", "returns", "searches")
    assert [ann[name] for name in counts] == [0, 4, 3, 0, 0]  # 84 days ago is too long ago
    assert [bob[name] for name in counts] == [1, 0, 0, 0, 0]
    assert (ann["spend"], ann["basket_spend"], bob["spend"]) == (18.0, 6.0, 0.0)
    paid = [6 * 0.5 ** (40.5 / 84), 3 * 0.5 ** (1.5 / 84), 9 * 0.5 ** (0.5 / 84)]
    assert ann["decayed_spend"] == pytest.approx(sum(paid), abs=0.002)
    assert (ann["days_since"], bob["days_since"]) == (0.5, 2.5)
    assert (ann["hours"][12], sum(ann["hours"]), len(ann["hours"])) == (1.0, 1.0, 24)
    assert ann["weekdays"] == pytest.approx([0, 0, 0, 1 / 3, 1 / 3, 0, 1 / 3])  # on a Sunday, a Thursday, a Friday
    assert (ann["devices"], ann["surfaces"]) == (["unknown", "phone"], ["unknown", "search"])
    assert (ann["device_shares"], ann["surface_shares"]) == (pytest.approx([2 / 3, 1 / 3]), ann["device_shares"])
    assert ann["categories"] == ["dairy", "bakery"]
    decayed = [sum(0.5 ** ((days + 0.5) / 84) for days in (84, 40, 0)), 0.5 ** (1.5 / 84)]
    assert ann["category_shares"] == pytest.approx([each / sum(decayed) for each in decayed])
    assert (bob["categories"], bob["category_shares"]) == (["dairy"], [1.0])


def test_purchase_made_after_the_as_of_time_is_not_counted(world: Lake) -> None:
    (ann, *_) = of_day(world, GOLD_USER_FEATURES, HOLDOUT_DAY)
    assert ann["history_event_ids"] == ["a1", "a2", "a3"]
    assert "bread" not in [row["item_id"] for row in of_day(world, GOLD_USER_ITEM_FEATURES, HOLDOUT_DAY)]


def test_two_runs_for_one_day_are_equal_row_for_row_and_leave_other_days_alone(world: Lake, settings: Settings) -> None:
    before = [collected(world, table, *table.key) for table in GOLD]
    compute_features(world, settings, DAY)
    assert repr([collected(world, table, *table.key) for table in GOLD]) == repr(before)  # repr: NaN equals itself


def test_training_sets_hold_what_was_known_before_the_holdout_and_what_happened_in_it(
    world: Lake, settings: Settings
) -> None:
    write_training_sets(world, settings, DAY)
    ann, bob = of_day(world, GOLD_RANKING_EXAMPLES, DAY)
    assert ann["history_event_ids"] == ["a1", "a2", "a3"]
    assert (ann["target_items"], ann["target_counts"]) == (["bread", "milk"], [1.0, 1.0])
    assert (bob["own_items"], bob["target_items"]) == ([], ["milk"])
    outcomes = ("target_clicks", "target_carts", "target_purchases", "target_dwell")
    assert [ann[name] for name in outcomes] == [[0, 0], [0, 0], [1, 1], [0, 0]]
    assert [bob[name] for name in outcomes] == [[1], [0], [0], [12.5]]
    shown = ("shown_items", "shown_positions", "shown_propensities")
    assert [bob[name] for name in shown] == [["bread"], [3], [0.25]]
    assert [ann[name] for name in shown] == [[], [], []]
    sequence = of_day(world, GOLD_RETRIEVAL_EXAMPLES, DAY)[0]
    assert (sequence["user_id"], sequence["first_target"]) == ("ann", 0)
    assert sequence["items"] == ["milk", "milk", "milk", "bread", "milk"]


def test_events_before_the_training_window_come_along_as_history_but_are_no_targets(world: Lake) -> None:
    interest = interest_before(world.read(SILVER_EVENTS), AS_OF)
    short_window = retrieval_examples(interest, world.read(SILVER_USERS), AS_OF, window_days=30, history_length=1)
    ann = short_window.where("user_id = 'ann'").head()
    assert (ann["items"], ann["first_target"]) == (["milk", "bread", "milk"], 1)


def test_a_feature_row_written_after_the_fact_does_not_leak_into_training(world: Lake, tmp_path: Path) -> None:
    as_of = end_of(HOLDOUT_DAY)
    honest = world.read(GOLD_USER_FEATURES).where(F.col("day") == F.lit(HOLDOUT_DAY))
    planted = honest.withColumn("events_total", F.lit(99).cast("long"))
    late = planted.withColumn("created_timestamp", F.lit(as_of + timedelta(seconds=1)))
    future = planted.withColumn("event_timestamp", F.lit(as_of + timedelta(seconds=1)))
    interest = interest_before(world.read(SILVER_EVENTS), AS_OF)
    other = Lake(world.spark, f"{tmp_path}/lake")
    other.append(honest.unionByName(late).unionByName(future), GOLD_USER_FEATURES)
    examples = ranking_examples(other.read(GOLD_USER_FEATURES), interest, as_of)
    assert sorted(row["events_total"] for row in examples.collect()) == [0, 3]


def test_training_without_features_of_the_day_before_the_holdout_says_what_to_run(
    world: Lake, settings: Settings
) -> None:
    with pytest.raises(HeadraceError, match="features --day 2026-09-23"):
        write_training_sets(world, settings, DAY - timedelta(days=30))


def test_a_day_is_recomputed_only_if_events_of_it_or_earlier_came_after_its_features(
    spark: SparkSession, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path / "home")
    lake = Lake(spark, settings.lake_root)
    days = [DAY - timedelta(days=back) for back in (2, 1, 0)]
    take_in(lake, tmp_path, "first", events=[purchase("e1", "ann", "milk", days_before(2))])
    compute_features(lake, settings, *days)
    assert days_with_late_events(lake, DAY, 7) == []
    take_in(lake, tmp_path, "late", events=[purchase("e2", "ann", "tea", days_before(2))])
    assert days_with_late_events(lake, DAY, 7) == days[:2]
    assert days_with_late_events(lake, DAY, 1) == days[1:2]
    compute_features(lake, settings, days[0], created=AS_OF)
    assert days_with_late_events(lake, DAY, 7) == days[1:2]
    (corrected,) = of_day(lake, GOLD_USER_FEATURES, days[0])
    assert corrected["history_items"] == ["milk", "tea"]
    assert corrected["created_timestamp"].replace(tzinfo=UTC) == AS_OF  # not known on the day itself


@pytest.fixture(scope="module")
def old_and_new(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, list[dict[str, Any]]]:
    """A user of the year 2000 beside one of these weeks, after all jobs of a day; and the items as computed once before
    the items' file arrived."""
    home = tmp_path_factory.mktemp("old-and-new")
    settings = Settings(home=home)
    lake = Lake(spark, settings.lake_root)
    old = [purchase(f"o{n}", "old", item, "2000-01-03T12:00:00Z", price=1.0) for n, item in enumerate(("tea", "jam"))]
    new = [purchase(f"n{week}", "new", "tea", days_before(7 * week + 1)) for week in range(9)]
    take_in(lake, home / "files", "events", received=AS_OF - timedelta(hours=2), events=[*old, *new])
    compute_features(lake, settings, DAY)
    before = of_day(lake, GOLD_ITEM_FEATURES, DAY)
    items = [{"item_id": "tea", "category_1": "drinks", "price": 0.5}, {"item_id": "jam", "category_1": "food"}]
    take_in(lake, home / "files", "items", received=AS_OF - timedelta(hours=1), items=items)
    jobs = ["features", "quality", "drift", "training_sets"]
    given = ["--day", f"{DAY}", "--holdout", "--against", f"{HOLDOUT_DAY}"]
    run_jobs(lake, jobs, job_arguments().parse_args([",".join(jobs), *given]), settings)
    return lake, before


def test_an_event_of_an_item_not_yet_known_is_kept_and_joined_when_the_item_arrives(
    old_and_new: tuple[Lake, list[dict[str, Any]]],
) -> None:
    lake, before = old_and_new
    (unknown,) = (row for row in before if row["item_id"] == "tea")
    (known,) = (row for row in of_day(lake, GOLD_ITEM_FEATURES, DAY) if row["item_id"] == "tea")
    assert (unknown["popularity"], str(unknown["price"])) == (1.0, "nan")
    assert (known["popularity"], known["price"]) == (1.0, 0.5)


def test_every_job_runs_on_a_lake_with_a_user_of_the_year_2000(
    old_and_new: tuple[Lake, list[dict[str, Any]]],
) -> None:
    """Decayed counts of that time are 0: a share of them is 0, and their order is that of the names."""
    lake, _ = old_and_new
    pairs = {(row["user_id"], row["item_id"]): row["affinity"] for row in of_day(lake, GOLD_USER_ITEM_FEATURES, DAY)}
    assert pairs == {("old", "tea"): 0.0, ("old", "jam"): 0.0, ("new", "tea"): 1.0}
    behaviour = {row["user_id"]: row for row in of_day(lake, GOLD_USER_BEHAVIOUR, DAY)}
    assert (behaviour["old"]["categories"], behaviour["old"]["category_shares"]) == (["drinks", "food"], [0.0, 0.0])


@pytest.fixture(scope="module")
def shop(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """28 days ago two looked at a lamp and one bought it; today one put it into a cart, one brought one back, one rated
    it. The vase was bought today, the rug only looked at, the sofa is new.
    """
    home = tmp_path_factory.mktemp("shop")

    def done(number: int, kind: str, item: str, when: str, value: float | None = None) -> dict[str, Any]:
        who = {"event_id": f"s{number}", "user_id": f"user{number}"}
        return {**who, "event_type": kind, "item_id": item, "timestamp": when, "value": value}

    then, today = (days_before(days, hour=0) for days in (27, -1))
    just_now = (datetime.fromisoformat(today) - timedelta(microseconds=1)).isoformat()
    events = [
        done(1, "view", "lamp", then),
        done(2, "click", "lamp", then),
        done(3, "purchase", "lamp", then, 1),
        done(4, "add_to_cart", "lamp", just_now, 2),
        done(5, "return", "lamp", just_now, 1),
        done(6, "rating", "lamp", just_now, 9),
        done(7, "purchase", "vase", just_now, 3),
        done(8, "view", "rug", just_now),
        done(9, "rating", "rug", just_now, 3),
        {"event_id": "s10", "event_type": "search", "user_id": "user9", "query": "rug", "timestamp": just_now},
    ]
    lake = Lake(spark, f"{home}/lake")
    take_in(lake, home, "shop", events=events, items=[{"item_id": "sofa"}])
    settings = Settings(home=home)
    settings.features.conversion_prior, settings.features.rating_prior, settings.features.return_prior = 1, 1, 1
    compute_features(lake, settings, DAY)
    return lake


def test_items_have_decayed_counts_and_rates_drawn_to_the_mean_of_all(shop: Lake) -> None:
    items = {row["item_id"]: row for row in of_day(shop, GOLD_ITEM_FEATURES, DAY)}
    lamp, vase, rug, sofa = (items[name] for name in ("lamp", "vase", "rug", "sofa"))
    counts = ("decayed_views", "decayed_carts", "decayed_purchases", "ratings")
    assert [lamp[name] for name in counts] == [1.0, 1.0, 0.5, 1.0]  # what is 28 days old counts half
    assert [rug[name] for name in counts] == [1.0, 0.0, 0.0, 1.0]
    assert [sofa[name] for name in counts] == [0.0, 0.0, 0.0, 0.0]
    mean = 2.5 / 4.5  # one cart, one and a half purchases; two views
    assert lamp["conversion"] == pytest.approx((1.5 + mean) / (2.5 + 1))
    assert vase["conversion"] == pytest.approx((1 + mean) / (1 + 1))
    assert (rug["conversion"], sofa["conversion"]) == pytest.approx((mean / 2, mean))
    assert (lamp["rating"], rug["rating"], sofa["rating"]) == pytest.approx(((9 + 6) / 2, (3 + 6) / 2, 6))
    assert (lamp["return_rate"], vase["return_rate"], sofa["return_rate"]) == pytest.approx((0.75, 0.25, 0.5))
    assert (lamp["freshness"], vase["freshness"], sofa["freshness"]) == pytest.approx((0.5, 1.0, 1.0))
    assert (lamp["age_days"], lamp["days_since"]) == pytest.approx((28.0, 0.0), abs=1e-6)


def test_a_table_from_before_a_feature_was_declared_takes_it_from_then_on(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, f"{tmp_path}/lake")
    before = replace(GOLD_ITEM_FEATURES, schema=pa.schema([("item_id", pa.string()), ("day", pa.date32())]))
    milk = spark.createDataFrame([("milk",)], "item_id string")
    lake.overwrite_day(milk, before, HOLDOUT_DAY)
    others = [F.lit(None).alias(name) for name in GOLD_ITEM_FEATURES.schema.names if name not in ("item_id", "day")]
    lake.overwrite_day(milk.select("*", *others).withColumn("rating", F.lit(7.5)), GOLD_ITEM_FEATURES, DAY)
    assert [row["rating"] for row in collected(lake, GOLD_ITEM_FEATURES, "day")] == [None, 7.5]
