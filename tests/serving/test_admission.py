from __future__ import annotations

import asyncio

import pytest

from serving.overload.admission import Admission, OverloadedError, Tier
from serving.overload.pace import Pace, QueueFullError

FEWER_SECONDS = 0.005  # what admission expects until it has measured
PLACES = 12


async def arrivals(admission: Admission, number: int) -> list[asyncio.Task[Tier]]:
    """So many requests at once."""
    asking = [asyncio.create_task(admission.enter()) for _ in range(number)]
    await asyncio.sleep(0)
    return asking


def test_a_request_waits_only_as_long_as_it_can_be_ranked_within_its_deadline() -> None:
    async def scenario() -> tuple[int, list[Tier]]:
        admission = Admission(processes=1, deadline_seconds=0.1)
        asking = await arrivals(admission, 100)
        await asyncio.sleep(0)
        refused = [one for one in asking if one.done() and isinstance(one.exception(), OverloadedError)]
        tiers = []
        for one in asking:
            if one not in refused:
                tiers.append(await one)
                admission.leave()
        return len(refused), tiers

    refused, tiers = asyncio.run(scenario())
    waited = round(0.1 / FEWER_SECONDS)  # in 100 ms so many can be ranked over fewer candidates
    assert refused == 100 - PLACES - waited
    assert tiers[:PLACES] == [Tier.FULL] * PLACES
    assert (tiers[PLACES], tiers[-1]) == (Tier.FEWER_CANDIDATES, Tier.FULL)  # the last one need not hurry any more


def test_a_request_that_nobody_makes_room_for_is_refused_at_its_deadline() -> None:
    async def scenario() -> int:
        admission = Admission(processes=1, deadline_seconds=0.05)
        asking = await arrivals(admission, PLACES + 1)
        with pytest.raises(OverloadedError):
            await asking[-1]
        admission.leave()
        assert await admission.enter() is Tier.FULL
        return len(admission)

    assert asyncio.run(scenario()) == 0


def test_who_stops_waiting_takes_no_place() -> None:
    async def scenario() -> Tier:
        admission = Admission(processes=1, deadline_seconds=1)
        asking = await arrivals(admission, PLACES + 2)
        asking[-2].cancel()
        admission.leave()
        return await asking[-1]

    assert asyncio.run(scenario()) is Tier.FULL


def test_cheaper_lists_are_given_more_slowly_where_they_take_more_than_their_share() -> None:
    async def given_in_half_a_second(share_taken: float) -> int:
        loop = asyncio.get_running_loop()
        pace = Pace(0.5, most=2000, longest=10, cpu_clock=lambda: share_taken * loop.time())
        waiting = [asyncio.create_task(pace.turn()) for _ in range(2000)]
        await asyncio.sleep(0.5)
        given = sum(one.done() for one in waiting)
        for one in waiting:
            one.cancel()
        return given

    busy, idle = asyncio.run(given_in_half_a_second(0.9)), asyncio.run(given_in_half_a_second(0.1))
    assert 5 < busy < idle / 2


def test_more_than_may_wait_and_who_waits_too_long_are_refused() -> None:
    async def scenario() -> list[bool]:
        loop = asyncio.get_running_loop()
        pace = Pace(0.5, most=20, longest=0.1, cpu_clock=lambda: 0.9 * loop.time())
        waiting = [asyncio.create_task(pace.turn()) for _ in range(30)]
        found = await asyncio.gather(*waiting, return_exceptions=True)
        return [isinstance(one, QueueFullError) for one in found]

    refused = asyncio.run(scenario())
    assert refused[:5] == [False] * 5
    assert refused[-5:] == [True] * 5
