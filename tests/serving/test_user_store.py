from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from headrace.settings.engines import StoreSettings
from infra.local.services import local_services
from serving.overload.loop_clock import LoopClock
from serving.processes.ranking_messages import StoredRows
from serving.state.user_store import Breaker, StoreAwayError, UserStore
from tests.conftest import free_ports, settings_on_free_ports


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_refused_connection_opens_the_breaker_and_one_try_per_pause_goes_through() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    breaker.failed(0.0, certain=True)
    assert [breaker.allows() for _ in range(3)] == [False, False, False]
    clock.now = 1.5
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    breaker.succeeded()
    assert [breaker.allows() for _ in range(3)] == [True, True, True]


def test_slow_reads_open_the_breaker_at_the_third_moment_however_many_there_were_at_once() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    for moment in range(3):
        assert breaker.allows()
        began = clock.now
        clock.now += 0.05
        for _ in range(100):  # under way together
            breaker.failed(began, certain=False)
        assert breaker.allows() == (moment < 2)


def test_a_loop_that_stands_still_is_no_slow_store(tmp_path: Path) -> None:
    settings = settings_on_free_ports(tmp_path)

    async def scenario() -> list[StoredRows]:
        store = UserStore(settings.store.model_copy(update={"timeout_ms": 50}), LoopClock())
        found = []
        for _ in range(5):
            reads = [asyncio.create_task(store.read("anna")) for _ in range(20)]
            await asyncio.sleep(0)  # they are under way: connections are being made, or commands sent
            time.sleep(0.2)  # the loop is held
            found += await asyncio.gather(*reads)
        await store.close()
        return found

    with local_services(settings, ("valkey",)):
        assert len(asyncio.run(scenario())) == 100


def test_a_store_that_never_answers_costs_its_timeout_three_times_and_then_nothing() -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)
        writer.close()

    async def scenario() -> list[float]:
        (port,) = free_ports(1)
        server = await asyncio.start_server(silent, "127.0.0.1", port)
        store = UserStore(StoreSettings(url=f"redis://127.0.0.1:{port}/0", timeout_ms=50), LoopClock())
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            with pytest.raises(StoreAwayError):
                await store.read("anna")
            seconds.append(time.perf_counter() - start)
        await store.close()
        server.close()
        return seconds

    seconds = asyncio.run(scenario())
    assert min(seconds[:3]) >= 0.045
    assert max(seconds[3:]) < 0.01


def test_a_store_that_was_away_is_read_again_by_itself(tmp_path: Path) -> None:
    settings = settings_on_free_ports(tmp_path)

    async def reads(store: UserStore) -> bool:
        try:
            await store.read("anna")
        except StoreAwayError:
            return False
        return True

    async def scenario() -> list[bool]:
        clock = Clock()
        store = UserStore(settings.store, LoopClock(), Breaker(clock))
        seen = []
        with local_services(settings, ("valkey",)):
            seen.append(await reads(store))
        seen += [await reads(store), await reads(store)]
        with local_services(settings, ("valkey",)):
            seen.append(await reads(store))  # the pause is not over
            clock.now = 2.0
            seen.append(await reads(store))
        with local_services(settings, ("valkey",)):
            seen.append(await reads(store))  # restarted between two reads: nobody notices
        await store.close()
        return seen

    assert asyncio.run(scenario()) == [True, False, False, False, True, True]
