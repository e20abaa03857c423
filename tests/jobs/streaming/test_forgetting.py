"""The state goes once a new request's past is committed, and never for one that was known before."""

from __future__ import annotations

from jobs.streaming.forgetting import Forgetting


class World:
    """The store and the topic as the job sees them."""

    asked: dict[bytes, bytes] | None = None
    ends: dict[int, int] | None = None
    committed: dict[int, int] | None = None

    def forgetting(self) -> Forgetting:
        return Forgetting(lambda: self.asked, lambda: self.ends, lambda: self.committed)


def test_a_new_request_is_due_when_all_that_was_on_the_topic_is_committed() -> None:
    world = World()
    world.asked, world.ends, world.committed = {b"known": b"1"}, {0: 7, 1: 3, 2: 0}, {0: 7, 1: 3}
    forgetting = world.forgetting()
    assert not forgetting.is_due()
    world.asked, world.committed = {b"known": b"1", b"new": b"2"}, {0: 6, 1: 3}
    assert not forgetting.is_due()
    world.ends = {0: 100, 1: 100, 2: 100}  # of after the request: it need not be waited for
    world.committed = {0: 6, 1: 50}
    assert not forgetting.is_due()
    world.committed = {0: 7, 1: 50}
    assert forgetting.is_due()


def test_while_the_broker_is_away_nothing_is_due() -> None:
    world = World()
    world.asked = {}
    forgetting = world.forgetting()
    world.asked = {b"new": b"1"}
    assert not forgetting.is_due()
    world.ends = {0: 7}
    assert not forgetting.is_due()
    world.committed = {0: 7}
    assert forgetting.is_due()


def test_what_is_known_when_the_store_first_answers_is_no_news_and_neither_is_a_request_that_ran_out() -> None:
    world = World()
    world.ends = world.committed = {0: 1}
    forgetting = world.forgetting()
    for world.asked in (None, {b"a": b"1", b"b": b"1"}, None, {b"b": b"1"}):
        assert not forgetting.is_due()


def test_who_asks_a_second_time_is_news_again() -> None:
    world = World()
    world.asked, world.ends, world.committed = {b"known": b"1"}, {0: 7}, {0: 7}
    forgetting = world.forgetting()
    assert not forgetting.is_due()
    world.asked = {b"known": b"2"}
    assert forgetting.is_due()
