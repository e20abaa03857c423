from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from headrace.release.bundle import Release
from headrace.settings import Settings
from serving.state.live_release import LiveRelease
from tests.serving.conftest import ITEMS
from tests.small_release import tiny_full_release


def test_a_new_release_is_swapped_in_whole_and_a_flipped_byte_leaves_the_old_one(tmp_path: Path) -> None:
    served = tmp_path / "served"
    old = tiny_full_release(served, items=ITEMS[:40])
    settings = Settings(home=tmp_path, serving={"release": str(served)})
    asyncio.run(_swap(settings, served, old, tmp_path))


async def _swap(settings: Settings, served: Path, old: Release, tmp_path: Path) -> None:
    live = LiveRelease(settings, retry_refused_seconds=0)
    await live.follow()
    assert live.ranking is not None
    assert live.ranking.loaded.release_id == old.release_id
    first = live.ranking

    new = tiny_full_release(tmp_path / "new", items=ITEMS[:50], seed=8)
    shutil.rmtree(served)
    shutil.copytree(new.folder, served)
    embeddings = served / "item_embeddings.npy"
    good = embeddings.read_bytes()
    embeddings.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    await live.follow()
    assert live.ranking is first
    assert "'item_embeddings.npy' was changed" in live.reason

    embeddings.write_bytes(good)
    await live.follow()
    assert live.ranking.loaded.release_id == new.release_id
    assert live.reason == ""
    await live.stop()


def test_without_a_release_the_reason_is_a_sentence_for_the_operator(tmp_path: Path) -> None:
    async def scenario() -> LiveRelease:
        live = LiveRelease(Settings(home=tmp_path, serving={"release": str(tmp_path / "nothing")}))
        await live.follow()
        await live.stop()
        return live

    live = asyncio.run(scenario())
    assert live.ranking is None
    assert "holds no release" in live.reason
