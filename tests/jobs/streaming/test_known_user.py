"""The history of a user does not depend on how its events arrive."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from headrace.features.online_store import LiveRow, live_row_arguments
from headrace.features.user_row import HistoryEvent, UserRow, merge_history, profile_fingerprint
from jobs.streaming.known_user import KnownUser, after_events, known_user, needs_write
from jobs.streaming.user_store import NewRow
from tests.jobs.streaming.streams import event

LENGTH = 5
NOBODY = KnownUser([], {}, [])
events = st.lists(st.integers(0, 30), max_size=30, unique=True).map(
    lambda numbers: [event(number * 7 % 19, number) for number in numbers]
)
"""Different events; some have the same time."""


def fed(user: KnownUser, live: list[HistoryEvent], step: int = 1) -> KnownUser:
    for start in range(0, len(live), step):
        user = after_events(user, live[start : start + step], LENGTH)
    return user


@given(events, st.randoms(), st.integers(1, 7))
def test_order_of_arrival_and_size_of_batches_do_not_matter(live, random, step) -> None:
    shuffled = random.sample(live, len(live))
    assert fed(NOBODY, shuffled, step).history == merge_history([], live, LENGTH)


@given(events)
def test_replaying_the_same_events_changes_nothing(live) -> None:
    once = fed(NOBODY, live)
    assert fed(once, live) is once


@given(events, events)
def test_history_from_the_batch_side_counts_like_live_events(batch, live) -> None:
    start = known_user(UserRow("u", 0, batch), None, LENGTH)
    assert fed(start, live).history == merge_history(batch, live, LENGTH)


@given(events)
def test_kept_texts_are_the_json_of_the_history(live) -> None:
    user = fed(NOBODY, live)
    assert json.loads(user.history_json) == [list(each) for each in user.history]


def test_a_stream_that_starts_again_goes_on_from_the_live_row() -> None:
    live = [event(minute, minute) for minute in range(8)]
    user = fed(NOBODY, live)
    row = LiveRow("r", None, user.history, user.event_timestamp, user.live_events, 0, "")  # type: ignore[arg-type]
    again = known_user(UserRow("u", 0), row, LENGTH)
    assert (again.history, again.live_events) == (user.history, 8)
    assert fed(again, live) is again


def test_an_event_older_than_the_whole_history_is_not_counted() -> None:
    user = fed(NOBODY, [event(minute, minute) for minute in range(10, 15)])
    assert fed(user, [event(1, 1)]) is user


def test_a_user_is_written_for_new_events_and_for_another_release_only() -> None:
    user = fed(NOBODY, [event(1, 1)])._replace(release="old")
    assert not needs_write(user, user, "old")
    assert needs_write(user, user, "new")
    assert needs_write(user, fed(user, [event(2, 2)]), "old")
    assert not needs_write(NOBODY, NOBODY, "new")


def test_a_changed_profile_and_what_the_batch_side_found_besides_make_the_stored_vector_an_old_one() -> None:
    live = [event(1, 1), event(2, 2)]
    row = LiveRow("r", None, live, live[-1].timestamp, 2, 0, profile_fingerprint({"age": "25-34"}))  # type: ignore[arg-type]
    young, old, busy = (
        known_user(UserRow("u", 0, history, profile={"age": age}), row, LENGTH)
        for history, age in (([], "25-34"), ([], "35-44"), ([event(0, 0)], "25-34"))
    )
    assert not needs_write(young, fed(young, live), "r")
    assert needs_write(old, fed(old, live), "r")
    assert needs_write(busy, fed(busy, live), "r")


def test_a_new_row_is_written_exactly_as_the_spine_writes_it(tower) -> None:
    user = fed(NOBODY, [event(1, 1), event(2, 2)])
    vector = tower.tower.vectors([user.history], [{}])[0]
    new = NewRow("u", "r", vector, user.history_json, user.event_timestamp, user.live_events, 5, "p")
    row = LiveRow("r", vector, user.history, user.event_timestamp, user.live_events, 5, "p")
    assert new.arguments(60) == live_row_arguments(row, 60)
