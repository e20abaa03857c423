"""Histories and own items: what live events do to a user's row."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headrace.features.user_row import (
    MICROSECONDS_PER_DAY,
    HistoryEvent,
    OwnItems,
    UserRow,
    merge_history,
    with_live_events,
)

DAY = MICROSECONDS_PER_DAY
TYPES = ("view", "purchase", "impression", "dislike")

events = st.lists(
    st.builds(
        HistoryEvent,
        timestamp=st.integers(0, 30).map(lambda day: day * DAY),
        event_id=st.text("abcdefgh", min_size=1, max_size=2),
        item_id=st.sampled_from("123"),
        event_type=st.sampled_from(TYPES),
    ),
    max_size=20,
    unique_by=lambda event: event.event_id,
)


@given(events, events, st.integers(1, 10), st.randoms())
def test_order_of_arrival_and_replays_do_not_change_a_history(base, live, length, shuffle: random.Random):
    live = [event for event in live if event.event_id not in {known.event_id for known in base}]
    replayed = live + live[: len(live) // 2]
    shuffle.shuffle(replayed)
    merged = merge_history(base, live, length)
    assert merge_history(base, replayed, length) == merged
    assert merge_history(merged, live, length) == merged
    assert len(merged) <= length
    assert all(event.event_type in ("view", "purchase") for event in merged)


def test_a_live_purchase_is_counted_like_one_of_the_batch():
    row = UserRow(
        "u",
        as_of=10 * DAY,
        history=[HistoryEvent(4 * DAY, "e1", "milk", "purchase")],
        own=OwnItems(
            ["milk"],
            np.array([1], np.float32),
            np.array([0.5], np.float32),
            np.array([4 * DAY]),
            np.array([4 * DAY]),
        ),
        events_total=1,
        baskets_total=1,
    )
    live = [
        HistoryEvent(20 * DAY, "e2", "bread", "purchase"),
        HistoryEvent(20 * DAY, "e3", "milk", "purchase"),
        HistoryEvent(20 * DAY, "e3", "milk", "purchase"),  # sent twice
        HistoryEvent(4 * DAY, "e1", "milk", "purchase"),  # known to the batch
    ]
    after = with_live_events(row, live, half_life_days=10, history_length=50)
    assert after.as_of == 20 * DAY
    assert after.own.items == ["milk", "bread"]
    assert after.own.counts.tolist() == [2, 1]
    assert after.own.decayed_counts.tolist() == [1.25, 1.0]  # 0.5 halved for 10 days, and one of today
    assert after.own.first_timestamps.tolist() == [4 * DAY, 20 * DAY]
    assert after.own.last_timestamps.tolist() == [20 * DAY, 20 * DAY]
    assert (after.events_total, after.baskets_total) == (3, 2)
    assert [event.event_id for event in after.history] == ["e1", "e2", "e3"]


def test_an_event_before_the_batch_row_completes_the_history_but_is_not_counted_again():
    row = UserRow("u", as_of=10 * DAY, events_total=5)
    after = with_live_events(row, [HistoryEvent(9 * DAY, "late", "milk", "view")], 10, 50)
    assert after.events_total == 5
    assert after.own.items == []
    assert [event.item_id for event in after.history] == ["milk"]
