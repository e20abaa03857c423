"""Batches of events become rows: one per user, whatever Flink repeats, reorders or cuts into pieces."""

from __future__ import annotations

import json
from collections.abc import Collection

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.errors import ServiceError
from headrace.features.user_row import HistoryEvent, merge_history
from headrace.forgotten import subject_hash
from jobs.streaming.live_users import REMEMBERED_S, LiveUsers
from jobs.streaming.recent_events import EVENT_SEPARATOR
from tests.jobs.streaming.streams import MemoryStore, event, packed

LENGTH, CARRIED = 3, 2
arrivals = st.lists(
    st.tuples(st.sampled_from("abc"), st.builds(event, st.integers(0, 40), st.integers(0, 60))),
    max_size=40,
    unique_by=lambda pair: pair[1].event_id,
)


def batches(
    pairs: list[tuple[str, HistoryEvent]], size: int, cleared: Collection[int] = ()
) -> list[tuple[list[str], list[str]]]:
    """What the query hands over: with each event the last `CARRIED` that Flink has of that user.

    Before the events at the places in `cleared`, it clears its state.
    """
    seen: dict[str, list[str]] = {}
    rows = []
    for place, (subject, each) in enumerate(pairs):
        if place in cleared:
            seen.clear()
        seen.setdefault(subject, []).append(packed(each))
        rows.append((subject, EVENT_SEPARATOR.join(seen[subject][-CARRIED:])))
    return [tuple(map(list, zip(*rows[i : i + size], strict=True))) for i in range(0, len(rows), size)]  # type: ignore[misc]


def live_users(store: MemoryStore, tower, clock=lambda: 0.0) -> LiveUsers:
    return LiveUsers(store, lambda: tower, LENGTH, clock)


def histories(store: MemoryStore) -> dict[str, list[list[object]]]:
    return {user: json.loads(row.history_json) for user, row in store.rows.items()}


def expected(pairs: list[tuple[str, HistoryEvent]]) -> dict[str, list[list[object]]]:
    subjects = {subject for subject, _ in pairs}
    return {s: [list(e) for e in merge_history([], [e for u, e in pairs if u == s], LENGTH)] for s in subjects}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(arrivals, st.randoms(), st.sets(st.integers(0, 80)), st.integers(1, 15))
def test_every_user_ends_with_the_newest_events_whatever_is_repeated_forgotten_or_cut(
    tower, pairs, random, cleared, size
) -> None:
    store = MemoryStore()
    users = live_users(store, tower)
    arriving = random.sample(pairs * 2, len(pairs) * 2)
    for subjects, recents in batches(arriving, size, cleared):
        users.take(subjects, recents)
    assert histories(store) == expected(pairs)


def test_replaying_the_same_events_leaves_the_vector_unchanged(tower) -> None:
    pairs = [("a", event(minute, minute)) for minute in range(6)]
    store = MemoryStore()
    users = live_users(store, tower)
    for batch in batches(pairs, 2):
        users.take(*batch)
    before = store.rows["a"]
    for batch in batches(pairs, 2):
        assert users.take(*batch) == 0
    assert store.rows["a"] is before


def test_the_vector_is_the_towers_answer_to_the_merged_history(tower) -> None:
    store = MemoryStore()
    pairs = [("a", event(1, 3)), ("a", event(2, 5)), ("b", event(1, 7))]
    live_users(store, tower).take(*batches(pairs, 10)[0])
    alone = tower.tower.vectors([[event(1, 3), event(2, 5)]], [{}])[0]
    assert np.array_equal(store.rows["a"].vector, alone)
    assert store.rows["a"].release == tower.release_id
    assert (store.rows["a"].count, store.rows["b"].count) == (2, 1)


def test_a_remembered_user_is_read_again_after_a_while(tower) -> None:
    store, time = MemoryStore(), [0.0]
    users = live_users(store, tower, lambda: time[0])
    for minute, batch in enumerate(batches([("a", event(m, m)) for m in range(3)], 1)):
        time[0] = minute * (REMEMBERED_S * 0.6)
        users.take(*batch)
    assert store.reads == 2
    assert len(histories(store)["a"]) == CARRIED  # this store forgets all; what Flink kept is in the row all the same


def test_after_a_failed_write_the_same_batch_is_taken_again_in_full(tower) -> None:
    store = MemoryStore()
    users = live_users(store, tower)
    batch = batches([("a", event(1, 1))], 1)[0]
    store.failure = ServiceError("the store is away")
    with pytest.raises(ServiceError):
        users.take(*batch)
    store.failure = None
    assert users.take(*batch) == 1
    assert histories(store)["a"] == [list(event(1, 1))]


def test_who_asked_to_be_forgotten_is_a_new_person_from_that_moment_on(tower) -> None:
    store, time = MemoryStore(), [0.0]
    users = live_users(store, tower, lambda: time[0])
    arriving = batches([(who, event(minute, minute)) for minute in range(4) for who in ("a", "b")], 2)
    for batch in arriving[:2]:
        users.take(*batch)
    store.asked = {subject_hash("a"): event(2, 2).timestamp}  # minute 2 was still on its way
    store.rows.clear()
    time[0] = 2.0
    for batch in arriving[2:]:  # Flink hands over the event before it, too
        users.take(*batch)
    assert histories(store) == {
        "a": [list(event(3, 3))],
        "b": [list(event(minute, minute)) for minute in (1, 2, 3)],
    }
