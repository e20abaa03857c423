"""Where the ingest goes on: after what it has, past what the broker lost, and from the start of another topic."""

from __future__ import annotations

from datetime import date

from jobs.batch.engine.broker import TopicState
from jobs.batch.ingest.topic_place import Gap, Place, batches, next_place

DAY = date(2026, 11, 20)
KNOWN = Place({("events", 0): 10, ("events", 1): 4}, {"events": "a"})


def topic(name: str, starts: tuple[int, ...], ends: tuple[int, ...]) -> dict[str, TopicState]:
    return {"events": TopicState(name, dict(enumerate(starts)), dict(enumerate(ends)))}


def test_a_new_partition_begins_at_its_start_and_what_was_deleted_after_its_ingest_is_no_gap() -> None:
    place, gaps = next_place(KNOWN, topic("a", (10, 0, 2), (12, 9, 5)), DAY)
    assert (place.offsets, gaps) == ({("events", 0): 10, ("events", 1): 4, ("events", 2): 2}, [])


def test_records_deleted_before_their_ingest_are_a_gap() -> None:
    place, gaps = next_place(KNOWN, topic("a", (13, 0), (20, 9)), DAY)
    assert place.offsets == {("events", 0): 13, ("events", 1): 4}
    assert gaps == [Gap("events", 0, 10, 13, False, "2026-11-20")]


def test_a_topic_with_another_id_or_a_smaller_end_is_read_from_its_start() -> None:
    for other in (topic("b", (0, 0), (50, 50)), topic("a", (0, 0), (9, 9))):
        place, gaps = next_place(KNOWN, other, DAY)
        assert place.offsets == {("events", 0): 0, ("events", 1): 0}
        assert [(gap.partition, gap.first, gap.made_anew) for gap in gaps] == [(0, 10, True), (1, 4, True)]


def test_batches_take_an_even_share_of_every_partition_and_each_record_once() -> None:
    place, _ = next_place(KNOWN, topic("a", (0, 0), (110, 24)), DAY)
    found = list(batches(place, topic("a", (0, 0), (110, 24)), 60))
    assert [{key[1]: (first[key], after[key]) for key in first} for first, after in found] == [
        {0: (10, 60), 1: (4, 14)},
        {0: (60, 110), 1: (14, 24)},
    ]
    assert list(batches(place, topic("a", (0, 0), (10, 4)), 60)) == []
