"""The events of a visit: a list is shown, some items are clicked and perhaps bought, the rest are other events.

A visit has EVENTS_PER_VISIT events. The list and its consequences are first, in order of the funnel, so that no click
is ever cut off: search, impressions, clicks, views, carts, purchases, ratings. Events without a list fill up the rest.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from headrace.events import EventType
from jobs.batch.synthetic.draws import Bools, Floats, Ints
from jobs.batch.synthetic.showing import Audience, Policy, audience_of
from jobs.batch.synthetic.tastes import EXAMINATION
from jobs.batch.synthetic.world import EVENTS_PER_VISIT, LIST_LENGTH

SEARCHES = 0.2
"""Share of visits that begin with a search for a favourite category."""
CART, PURCHASE, RATING = 0.35, 0.6, 0.3
"""Probability of each step of the funnel after the one before it."""
KINDS = tuple(kind.value for kind in EventType)
STEPS = ("impression", "click", "view", "add_to_cart", "purchase", "rating")
OTHER_EVENTS = EVENTS_PER_VISIT - LIST_LENGTH
_OTHER_KINDS = ("view", "purchase", "add_to_cart", "like", "dislike")
_OTHER_UNTIL = (0.5, 0.82, 0.92, 0.97)
_CHECKOUT_S, _RATED_S = 1_500, 3_000  # a visit's purchases are one basket: they share their time


class Lists(NamedTuple):
    """The lists of visits and the reactions to them; all (visits,) or (visits, LIST_LENGTH)."""

    visit: Ints
    user: Ints
    second: Ints
    searched: Ints
    """Index of the searched category among the favourites; −1 without a search."""
    audience: Audience
    item: Ints
    propensity: Floats
    affinity: Floats
    click_chance: Floats
    clicked: Bools


class Events(NamedTuple):
    """Events as columns of equal length, ordered by visit and position in it."""

    number: Ints
    kind: Ints
    """Index in KINDS."""
    visit: Ints
    user: Ints
    item: Ints
    """−1 for a search."""
    millisecond: Ints
    """Since the start of the period."""
    value: Floats
    """NaN: none."""
    price: Floats
    """NaN: none."""
    position: Ints
    """−1: not from a list."""
    propensity: Floats
    """NaN: neither impression nor click."""
    leaf: Ints
    """The searched category, −1: none."""
    searching: Bools
    """Whether the visit's list is a search result."""


def lists(policy: Policy, visit: Ints) -> Lists:
    """The lists that these visits are shown."""
    tastes, draws = policy.tastes, policy.tastes.world.draws
    second = tastes.world.visit_seconds(visit)
    user = tastes.world.visitors(visit, second)
    is_search = draws.uniform("search", visit) < SEARCHES
    searched = np.where(is_search, draws.below(2, "search/favourite", visit), -1)
    audience = audience_of(tastes.favourites(user), searched, tastes.world.new_items_at(second))
    position = np.arange(LIST_LENGTH)
    lane = (position + draws.below(LIST_LENGTH, "list/turn", visit)[:, None]) % LIST_LENGTH
    each = audience.spread(LIST_LENGTH)
    source, leaf, rank = (draws.uniform(f"list/{name}", visit[:, None], lane) for name in ("source", "leaf", "rank"))
    item = policy.draw(each, lane, source, leaf, rank)
    affinity = tastes.affinity(user[:, None], item)
    chance = EXAMINATION * tastes.attraction(affinity, item)
    clicked = draws.uniform("list/click", visit[:, None], position) < chance
    propensity = policy.propensity(each, item)
    return Lists(visit, user, second, searched, audience, item, propensity, affinity, chance, clicked)


def events_of(policy: Policy, visit: Ints) -> Events:
    """All events of these visits, at most the world's number of them."""
    shown = lists(policy, visit)
    draws = policy.tastes.world.draws
    here, position = visit[:, None], np.arange(LIST_LENGTH)
    cart = shown.clicked & (draws.uniform("list/cart", here, position) < CART)
    bought = cart & (draws.uniform("list/purchase", here, position) < PURCHASE)
    rated = bought & (draws.uniform("list/rating", here, position) < RATING)
    always = np.ones_like(shown.clicked)
    search = (shown.searched >= 0)[:, None]
    other = np.ones((len(visit), OTHER_EVENTS), dtype=bool)
    happens = np.hstack([search, always, shown.clicked, shown.clicked, cart, bought, rated, other])
    order = np.cumsum(happens, axis=1) - 1
    row, column = np.nonzero(happens & (order < EVENTS_PER_VISIT))
    number = visit[row] * EVENTS_PER_VISIT + order[row, column]
    within = number < policy.tastes.world.events
    return _events(policy, shown, number[within], row[within], column[within])


def _events(policy: Policy, shown: Lists, number: Ints, row: Ints, column: Ints) -> Events:
    tastes, draws = policy.tastes, policy.tastes.world.draws
    visit, user = shown.visit[row], shown.user[row]
    step, position = (column - 1) // LIST_LENGTH, (column - 1) % LIST_LENGTH
    is_search, is_other = column == 0, step >= len(STEPS)
    in_list = ~is_search & ~is_other
    other_kind, other_item = _other_events(policy, shown, row, number)
    step_kind = np.asarray([KINDS.index(name) for name in STEPS])[np.minimum(step, len(STEPS) - 1)]
    kind = np.where(is_search, KINDS.index("search"), np.where(is_other, other_kind, step_kind))
    item = np.where(is_search, -1, np.where(is_other, other_item, shown.item[row, position]))
    stars = np.rint(3 + 2 * shown.affinity[row, position] + 0.5 * draws.normal("event/stars", number))
    value = np.select(
        [_is(kind, "view"), _is(kind, "add_to_cart", "purchase"), _is(kind, "rating")],
        [
            np.round(np.minimum(np.exp(3 + draws.normal("event/dwell", number)), 600), 1),
            1 + np.floor(3 * draws.uniform("event/quantity", number) ** 3),
            np.clip(stars, 1, 5),
        ],
        np.nan,
    )
    searched_leaf = np.take_along_axis(shown.audience.leaves, np.maximum(shown.searched, 0)[:, None], axis=1)[:, 0]
    return Events(
        number=number,
        kind=kind,
        visit=visit,
        user=user,
        item=item,
        millisecond=1000 * shown.second[row] + _offset_ms(policy, kind, in_list, position, number),
        value=value,
        price=np.where(_is(kind, "purchase"), tastes.price(item), np.nan),
        position=np.where(in_list, position, -1),
        propensity=np.where(in_list & (step <= 1), shown.propensity[row, position], np.nan),
        leaf=np.where(is_search, searched_leaf[row], -1),
        searching=shown.searched[row] >= 0,
    )


def _other_events(policy: Policy, shown: Lists, row: Ints, number: Ints) -> tuple[Ints, Ints]:
    """Kind and item of an event that is not from a list: regular items are bought again, others viewed at random."""
    tastes, draws = policy.tastes, policy.tastes.world.draws
    choice = np.searchsorted(_OTHER_UNTIL, draws.uniform("errand/kind", number), side="right")
    kind = np.asarray([KINDS.index(name) for name in _OTHER_KINDS])[choice]
    lane = draws.below(LIST_LENGTH, "errand/lane", number)
    audience = shown.audience.at(row)
    source, leaf, rank = (draws.uniform(f"errand/{name}", number) for name in ("source", "leaf", "rank"))
    found = policy.draw(audience, lane, source, leaf, rank)
    regular = tastes.repertoire_item(shown.user[row], draws.uniform("errand/regular", number))
    return kind, np.where(_is(kind, "view", "dislike"), found, regular)


def _offset_ms(policy: Policy, kind: Ints, in_list: Bools, position: Ints, number: Ints) -> Ints:
    """Milliseconds since the start of the visit; a list's click, view and cart follow its impression in this order."""
    jitter = policy.tastes.world.draws.uniform("event/time", number)
    click = 3_000 + 8_000 * position
    of_list = np.select(
        [_is(kind, "impression"), _is(kind, "click"), _is(kind, "view"), _is(kind, "add_to_cart")],
        [np.full_like(position, 1_000), click, click + 1_000, click + 5_000],
        1_000 * _RATED_S + 10_000 * position,
    )
    loose = np.asarray(100_000 + 1_300_000 * jitter, dtype=np.int64)
    offset = np.where(in_list, of_list + (_is(kind, "click", "add_to_cart") * 900 * jitter).astype(np.int64), loose)
    offset = np.where(_is(kind, "purchase"), 1_000 * _CHECKOUT_S, offset)
    return np.asarray(np.where(_is(kind, "search"), 0, offset), dtype=np.int64)


def _is(kind: Ints, *names: str) -> Bools:
    return np.isin(kind, [KINDS.index(name) for name in names])
