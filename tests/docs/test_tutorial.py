"""The tutorial, done: every command of it in its order, on the example shop, with services of its own."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pyarrow.parquet as pq
import pytest

from headrace.machine.ports import service_address
from headrace.settings import PROJECT_ROOT, Settings
from infra.demo.live import event
from tests.conftest import settings_on_free_ports
from tests.docs.test_commands import BLOCK
from tests.spark_fixture import FEW_ROWS, QUICK_JAVA

HEADRACE = PROJECT_ROOT / ".venv" / "bin" / "headrace"
PAGE = (PROJECT_ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
WAIT_S = 120.0


def commands() -> list[list[str]]:
    """The words of each line of the page's shell blocks."""
    return [shlex.split(line) for block in BLOCK.findall(PAGE) for line in block.replace("\\\n", " ").splitlines()]


EXPORTED = dict(words[1].split("=") for words in commands() if words[0] == "export")
SHOWN = [words[1:] for words in commands() if words[0] == "headrace"]
LONG_LIVED = ("stream", "serve")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_on_free_ports(tmp_path_factory.mktemp("tutorial"))


@pytest.fixture(scope="module")
def environment(settings: Settings) -> dict[str, str]:
    """What the page exports, but folder and ports of this test's own."""
    own = {"HEADRACE_TRAINING__HOLDOUT_DAYS": "7", "SPARK_CONF_DIR": FEW_ROWS}
    return {**os.environ, **QUICK_JAVA, **EXPORTED, **settings.as_environment(), **own}


@pytest.fixture(scope="module")
def printed(settings: Settings, environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """What each command printed, by its words; the stream and the service run while the test does."""
    outputs: dict[str, str] = {}
    running: list[subprocess.Popen[bytes]] = []
    try:
        for words in SHOWN:
            if words[0] in LONG_LIVED:
                running.append(start(words, environment, settings.home_folder))
                continue
            if running:
                wait_for(lambda: is_ready(settings))
            outputs[" ".join(words)] = run(words, environment)
        yield outputs
    finally:
        for process in running:
            process.terminate()
        psutil.wait_procs([psutil.Process(process.pid) for process in running if process.poll() is None], timeout=60)
        run(["down"], environment)


def run(words: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run([HEADRACE, *words], cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{words}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout + done.stderr


def start(words: list[str], environment: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
    with (folder / f"{words[0]}.out").open("wb") as output:
        return subprocess.Popen([HEADRACE, *words], cwd=PROJECT_ROOT, env=environment, stdout=output, stderr=output)


def is_ready(settings: Settings) -> bool:
    try:
        ready = httpx.get(f"{service_address(settings)}/readyz").status_code == 200
    except httpx.TransportError:
        return False
    return ready and (settings.home_folder / "run" / "stream.ready").exists()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_the_shop_is_imported_but_for_its_three_wrong_events(printed: dict[str, str]) -> None:
    told = next(text for words, text in printed.items() if words.startswith("import "))
    assert "3 rows refused" in told


def test_the_release_is_champion(printed: dict[str, str]) -> None:
    assert "champion" in printed["release list"]


def test_known_visitors_get_lists_with_reasons(printed: dict[str, str]) -> None:
    related = json.loads(printed["recommend u07 --context related --item i01 --json"])
    items = [entry["item_id"] for entry in related["recommendations"]]
    assert len(set(items)) == len(items) > 5
    assert "i01" not in items
    assert all(entry["reason"] for entry in related["recommendations"])
    assert "ou" in printed["recommend u07 --limit 5"]


def test_an_event_changes_the_next_answer(printed: dict[str, str], settings: Settings) -> None:
    def asked() -> list[str]:
        query = {"user_id": "a-new-visitor", "limit": 10}
        answer = httpx.get(f"{service_address(settings)}/recommendations", params=query).json()
        return [entry["reason"] for entry in answer["recommendations"]]

    assert not any("bought" in reason for reason in asked())
    sent = httpx.post(f"{service_address(settings)}/events", json=event("purchase", "a-new-visitor", "i03", value=1))
    assert sent.status_code == 202
    wait_for(lambda: any("bought" in reason for reason in asked()))


def test_the_platform_can_be_judged_from_outside_on_two_files_of_events(
    environment: dict[str, str], tmp_path: Path
) -> None:
    lists, events = tmp_path / "lists.parquet", "docs/examples/events.csv"
    names = [word for words in SHOWN if words[0] == "import" for word in words if "=" in word]
    mapped = [part for name in names for part in ("--map", name)]
    run(
        ["evaluate", "--train", events, "--test", events, "--output", str(lists), "--k", "10", *mapped],
        environment | {"HEADRACE_TRAINING__RANKER_EARLIER_HOLDOUTS": "0"},
    )
    ranked = pq.read_table(lists).to_pandas()
    assert list(ranked.columns) == ["user_id", "rank", "item_id", "score"]
    assert ranked.groupby("user_id")["rank"].apply(list).map(lambda ranks: ranks == list(range(1, 11))).all()
    assert ranked.groupby("user_id")["item_id"].nunique().eq(10).all()
    assert ranked["user_id"].nunique() == 60
