"""The state goes once a new request's past is committed, and never for one that was known before."""

from __future__ import annotations

from jobs.streaming.forgetting import Forgetting


class World:
    """The store and the checkpoints as the job sees them."""

    asked: set[bytes] | None = None
    checkpoint = 5

    def forgetting(self) -> Forgetting:
        return Forgetting(lambda: self.asked, lambda: self.checkpoint)


def test_a_new_request_is_due_three_checkpoints_later() -> None:
    world = World()
    world.asked = {b"known"}
    forgetting = world.forgetting()
    due = []
    for world.checkpoint in range(5, 12):
        if world.checkpoint == 7:
            world.asked = {b"known", b"new"}
        due.append((world.checkpoint, forgetting.is_due()))
    assert due == [(5, False), (6, False), (7, False), (8, False), (9, False), (10, True), (11, True)]


def test_what_is_known_when_the_store_first_answers_is_no_news_and_neither_is_a_request_that_ran_out() -> None:
    world = World()
    forgetting = world.forgetting()
    for world.asked in (None, {b"a", b"b"}, None, {b"b"}):
        assert not forgetting.is_due()
        world.checkpoint += 10
    assert not forgetting.is_due()
