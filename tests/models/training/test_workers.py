"""Training by two processes, as on two machines: the same model as one process makes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from headrace.errors import BadInputError
from headrace.release.bundle import open_release
from headrace.release.catalogue import load_catalogue
from headrace.settings import Settings
from headrace.tables import GOLD_RETRIEVAL_EXAMPLES
from models.training.gold import Lake
from models.training.workers import CONFIG, Worker, side_by_side, this_worker
from tests.conftest import free_ports
from tests.models.conftest import Trained, settings_in
from tests.models.planted_world import DAY, World


def start(settings: Settings, addresses: list[str], number: int) -> subprocess.Popen[str]:
    config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}
    chosen = {
        f"HEADRACE_TRAINING__{name.upper()}": str(value) for name, value in settings.training.model_dump().items()
    }
    command = [sys.executable, "-m", "models.train_retrieval", "--day", DAY.isoformat()]
    environment = os.environ | chosen | {CONFIG: json.dumps(config), "HEADRACE_HOME": str(settings.home)}
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def share_of_own_taste(folder: Path) -> float:
    """Of the twenty items nearest to each item, by inner product."""
    catalogue = load_catalogue(open_release(folder / "retrieval"))
    vectors = catalogue.embeddings[:, :-1]
    nearest = np.argsort(-(vectors @ vectors.T), axis=1)[:, :20]
    taste = np.array([catalogue.value("category_1", row) for row in range(len(catalogue))])
    return float((taste[nearest] == taste[:, None]).mean())


def refuse(what: str) -> None:
    raise BadInputError(f"{what} {os.getpid()}", "Mend it")


def test_what_fails_beside_the_work_here_is_raised_when_both_have_ended() -> None:
    done = []
    with (
        pytest.raises(BadInputError, match=r"no events in \d+\. Mend it") as raised,
        side_by_side(partial(refuse, "no events in")),
    ):
        done.append("here")
    assert done == ["here"]
    assert str(os.getpid()) not in raised.value.problem
    with side_by_side(None):
        done.append("alone")
    assert done == ["here", "alone"]


def test_two_processes_find_as_much_as_one(retrieval: Trained, tmp_path: Path):
    settings = settings_in(tmp_path)
    World().write(Path(settings.lake_root), files=2)
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    both = [start(settings, addresses, number) for number in range(2)]
    try:
        outputs = [process.communicate(timeout=480)[0] for process in both]
    finally:
        for process in both:
            process.kill()
    assert [process.returncode for process in both] == [0, 0], "\n".join(outputs)
    folder = settings.training_folder / DAY.isoformat()
    together = json.loads((folder / "retrieval_metrics.json").read_text())
    alone = json.loads((retrieval.folder / "retrieval_metrics.json").read_text())
    assert together["recall_at_500_new"] == pytest.approx(alone["recall_at_500_new"], abs=0.02)
    assert together["phases"][0]["examples"] == pytest.approx(alone["phases"][0]["examples"] / 2, rel=0.05)
    assert share_of_own_taste(folder) == pytest.approx(share_of_own_taste(retrieval.folder), abs=0.05)
    assert share_of_own_taste(folder) > 0.5  # by chance: a twelfth


def test_a_worker_is_told_by_tensorflows_own_variable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(CONFIG, raising=False)
    assert this_worker() == Worker()
    monkeypatch.setenv(CONFIG, '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}')
    assert this_worker() == Worker(1, 2)
    assert not this_worker().chief
    monkeypatch.setenv(CONFIG, '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}')
    with pytest.raises(BadInputError, match="TF_CONFIG is not understood"):
        this_worker()


def test_parts_of_a_day_are_its_rows_and_shards_share_its_files(tmp_path: Path):
    World(users=30).write(tmp_path, files=3)
    lake = Lake(str(tmp_path))

    def users(**shard: int) -> list[str]:
        parts = lake.parts(GOLD_RETRIEVAL_EXAMPLES, DAY, 4, ["user_id"], **shard)
        return [user for part in parts for user in part.column("user_id").to_pylist()]

    everybody = lake.read(GOLD_RETRIEVAL_EXAMPLES, DAY).column("user_id").to_pylist()
    assert sorted(users()) == sorted(everybody)
    assert sorted(users(shard=0, shards=2) + users(shard=1, shards=2)) == sorted(everybody)
    assert len(users(shard=1, shards=2)) == 10
    assert max(len(part) for part in lake.parts(GOLD_RETRIEVAL_EXAMPLES, DAY, 4)) < 10
    chosen = lake.of_users(GOLD_RETRIEVAL_EXAMPLES, DAY, ["user-7", "nobody", "user-12"])
    assert chosen.column("user_id").to_pylist() == ["user-12", "user-7"]
