"""A synthetic world keeps its own promises: who is there when, how popular things are, what the propensities say."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from headrace.errors import BadInputError
from headrace.events import Event, parse_event
from jobs.batch.synthetic.catalogue_rows import item_ground_truth, item_rows, user_ground_truth
from jobs.batch.synthetic.draws import Draws, zipf_probability, zipf_rank
from jobs.batch.synthetic.event_rows import PROPENSITY, event_rows
from jobs.batch.synthetic.showing import Policy
from jobs.batch.synthetic.tastes import EXAMINATION, Tastes
from jobs.batch.synthetic.visits import KINDS, Events, Lists, events_of, lists
from jobs.batch.synthetic.world import DAY_S, EVENTS_PER_VISIT, LIST_LENGTH, World
from tests.jobs.batch.worlds import AS_OF, DAY

VISITS = 20_000
WORLD = World(users=500, items=200, events=VISITS * EVENTS_PER_VISIT - 3, seed=7, end=DAY, days=365)
POLICY = Policy(Tastes(WORLD))


@pytest.fixture(scope="module")
def shown() -> Lists:
    return lists(POLICY, np.arange(VISITS))


@pytest.fixture(scope="module")
def happened() -> Events:
    return events_of(POLICY, np.arange(VISITS))


def test_a_draw_depends_on_seed_purpose_and_row_only() -> None:
    rows = np.arange(10_000)
    drawn = Draws(7).uniform("a", rows)
    assert drawn.min() >= 0 and drawn.max() < 1 and len(set(drawn)) == 10_000
    assert drawn.mean() == pytest.approx(0.5, abs=0.01) and drawn.var() == pytest.approx(1 / 12, abs=0.003)
    assert (Draws(7).uniform("a", rows[5_000:]) == drawn[5_000:]).all()
    for other in (Draws(8).uniform("a", rows), Draws(7).uniform("b", rows), Draws(7).uniform("a", rows, 0)):
        assert abs(np.corrcoef(drawn, other)[0, 1]) < 0.03


def test_ranks_are_drawn_as_often_as_their_probability_says() -> None:
    ranks = zipf_rank(Draws(1).uniform("rank", np.arange(100_000)), 20, 0.9)
    said = zipf_probability(np.arange(20), 20, 0.9)
    assert said.sum() == pytest.approx(1)
    assert np.bincount(ranks, minlength=20) / 100_000 == pytest.approx(said, abs=0.005)
    assert zipf_probability([-1, 20], 20, 0.9).tolist() == [0, 0]


def test_there_are_exactly_as_many_events_as_asked_for_each_with_its_own_number(happened: Events) -> None:
    assert happened.number.tolist() == list(range(WORLD.events))


def test_few_items_and_users_make_most_of_the_events(happened: Events) -> None:
    signed_in = happened.user[happened.user >= 0]
    by_item = np.sort(np.bincount(happened.item[happened.item >= 0], minlength=WORLD.items))[::-1]
    by_user = np.sort(np.bincount(signed_in, minlength=WORLD.users))[::-1]
    assert by_item[:20].sum() > 2.5 * 0.1 * by_item.sum()  # a tenth of the items
    assert by_user[:50].sum() > 2.5 * 0.1 * by_user.sum()  # a tenth of the users
    assert (by_item > 0).all()


def test_weekends_december_and_evenings_are_busy(happened: Events) -> None:
    days = Counter(DAY - timedelta(days=WORLD.days - 1 - int(n)) for n in happened.millisecond // (1000 * DAY_S))
    by_month: dict[int, list[int]] = {}
    for day, count in days.items():
        by_month.setdefault(day.month, []).append(count)
    assert np.mean(by_month[12]) > 1.5 * np.mean(by_month[6])
    assert days[date(2026, 6, 13)] > 1.3 * days[date(2026, 6, 16)]  # a Saturday and a Tuesday
    hours = np.bincount(happened.millisecond // 3_600_000 % 24, minlength=24)
    assert hours[17] > 2 * hours[5]


def test_nothing_happens_before_its_item_or_user_appears(happened: Events) -> None:
    seconds = happened.millisecond // 1000
    items, users = happened.item >= 0, happened.user >= 0
    new = happened.item >= WORLD.first_items
    assert new.sum() > 1_000 and (happened.user >= WORLD.first_users).sum() > 1_000
    assert (seconds[items] >= WORLD.item_appears(happened.item[items])).all()
    assert (seconds[users] >= WORLD.user_appears(happened.user[users])).all()
    appears = WORLD.item_appears(np.arange(WORLD.items))
    assert (appears[: WORLD.first_items] == 0).all() and (np.diff(appears[WORLD.first_items :]) > 0).all()


def test_no_list_shows_an_item_twice_and_every_item_is_shown_as_often_as_its_propensity_says(shown: Lists) -> None:
    assert all(len(set(items)) == LIST_LENGTH for items in shown.item.tolist())
    item = np.arange(WORLD.items)
    expected, variance = np.zeros(len(item)), np.zeros(len(item))
    for some in np.split(np.arange(VISITS), 20):
        audience = shown.audience.at(some).spread(len(item))
        chance = POLICY.propensity(audience, np.broadcast_to(item, (len(some), len(item))))
        assert chance.sum(axis=1) == pytest.approx(np.full(len(some), LIST_LENGTH))
        expected, variance = expected + chance.sum(axis=0), variance + (chance * (1 - chance)).sum(axis=0)
    seen = np.bincount(shown.item.ravel(), minlength=len(item))
    surprise = (seen - expected) / np.sqrt(variance)
    assert np.abs(surprise).max() < 4.5  # 200 items
    assert (surprise**2).mean() == pytest.approx(1, abs=0.4)


def test_clicks_come_as_often_as_taste_and_position_say(shown: Lists, happened: Events) -> None:
    expected = shown.click_chance.sum(axis=0)
    assert shown.clicked.sum(axis=0) == pytest.approx(expected, rel=0.06)
    attraction = shown.click_chance / EXAMINATION
    assert shown.clicked.sum(axis=0) / attraction.sum(axis=0) == pytest.approx(EXAMINATION, rel=0.06)
    liked = shown.affinity > 0.7
    assert shown.clicked[liked].mean() > 2 * shown.clicked[~liked].mean()
    assert abs(int((happened.kind == KINDS.index("click")).sum()) - int(shown.clicked.sum())) <= 3  # none is cut off


def test_users_buy_some_items_again_and_again(happened: Events) -> None:
    bought = (happened.kind == KINDS.index("purchase")) & (happened.user >= 0)
    columns = (column[bought].tolist() for column in (happened.user, happened.item, happened.visit))
    baskets = set(zip(*columns, strict=True))
    times = Counter((user, item) for user, item, _ in baskets)
    assert sum(count for count in times.values() if count > 1) > 0.5 * len(baskets)


def test_every_event_fits_the_contract_and_agrees_with_the_ground_truth() -> None:
    world = World(users=30, items=100, events=8_000, seed=3, end=DAY, days=20)
    policy = Policy(Tastes(world))
    visit = np.arange(world.visits)
    rows, ground_truth = event_rows(policy, visit).to_pylist(), lists(policy, visit)
    assert {row["event_type"] for row in rows} == set(KINDS) - {"return"}  # this world takes nothing back
    for row in rows:
        given = {key: value for key, value in row.items() if value is not None}
        event = parse_event({**given, "context": dict(row["context"])}, AS_OF)
        assert isinstance(event, Event), event
        assert world.start <= event.timestamp < AS_OF
        assert (PROPENSITY in event.context) == (event.event_type in ("impression", "click"))
    impressions = [row for row in rows if row["event_type"] == "impression"]
    assert [float(dict(row["context"])[PROPENSITY]) for row in impressions] == ground_truth.propensity.ravel().tolist()
    assert [row["item_id"] for row in impressions] == [f"i{item}" for item in ground_truth.item.ravel()]


def test_another_seed_gives_another_world() -> None:
    other = Policy(Tastes(replace(WORLD, seed=8)))
    one, another = (lists(policy, np.arange(200)) for policy in (POLICY, other))
    assert (one.item == another.item).mean() < 0.2 and (one.user == another.user).mean() < 0.2


def test_rows_do_not_depend_on_what_they_are_made_with() -> None:
    together = event_rows(POLICY, np.arange(100, 140))
    apart = [row for visit in range(100, 140) for row in event_rows(POLICY, np.array([visit])).to_pylist()]
    assert together.to_pylist() == apart


def test_affinity_is_the_product_of_the_written_factors() -> None:
    one = np.arange(5)
    users = np.array([row["factors"] for row in user_ground_truth(POLICY, one).to_pylist()])
    items = np.array([row["factors"] for row in item_ground_truth(POLICY, one).to_pylist()])
    assert (users * items).sum(axis=1) == pytest.approx(POLICY.tastes.affinity(one, one), abs=1e-5)
    names = [row["category_3"] for row in item_rows(POLICY, one).to_pylist()]
    assert names == ["Everyday Bakery 1"] * 5


@pytest.mark.parametrize(("wrong", "told"), [({"items": 50}, "--items 50"), ({"days": 0}, "--days 0")])
def test_a_world_too_small_is_refused(wrong: dict[str, int], told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        World(**{"users": 10, "items": 100, "events": 1, "seed": 1, "end": DAY, **wrong})
