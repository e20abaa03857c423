"""The whole platform on a small slice of the real data: imported, trained by Airflow, streaming, serving."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from headrace.machine.ports import service_address
from headrace.settings import PROJECT_ROOT, Settings
from infra.local import services as local
from tests.spark_fixture import FEW_ROWS, QUICK_JAVA

END = "2026-11-23"
HOUSEHOLDS = "100"


@dataclass(frozen=True)
class Platform:
    """A running platform and the data it was fed."""

    settings: Settings
    day: str
    learnt: Path
    later: Path

    @property
    def service(self) -> str:
        """Address of the HTTP service."""
        return service_address(self.settings)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """`python -m …` with this platform's settings (and `variables`); fails with its whole output if it fails."""
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=PROJECT_ROOT,
            env={**os.environ, **QUICK_JAVA, **self.settings.as_environment(), **variables},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{arguments}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        return done


@pytest.fixture(scope="session")
def platform(services: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Weeks 1 to 48 of some households: import, `headrace run daily`, then the stream and the service."""
    data = tmp_path_factory.mktemp("complete-journey")
    training = services.training.model_copy(update={"ranker_epochs": 1})
    settings = services.model_copy(update={"training": training})
    learnt, later = data / "learnt", data / "later"
    half_built = Platform(settings, "", learnt, later)
    for weeks, folder in (("1-48", learnt), ("49-53", later)):
        half_built.run(
            *("jobs.batch.sources.complete_journey", "--weeks", weeks, "--end", END),
            *("--households", HOUSEHOLDS, "--output", str(folder)),
        )
    files = [f"--{name}={learnt / name}.parquet" for name in ("events", "items", "users")]
    half_built.run("headrace", "import", *files, "--day", END, SPARK_CONF_DIR=FEW_ROWS)
    day = json.loads((learnt / "meta.json").read_text())["as_of_day"]
    built = Platform(settings, day, learnt, later)
    built.run("headrace", "run", "daily", "--day", day, SPARK_CONF_DIR=FEW_ROWS)
    local.up(settings, ["stream", "serving"])
    yield built
