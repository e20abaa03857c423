"""A small world with a known pattern, trained once for all tests of this folder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.features.own_items import own_item_features
from headrace.features.ranking import Source, ranking_features
from headrace.features.user_row import user_row
from headrace.features.user_tower import load_user_tower
from headrace.release.bundle import open_release
from headrace.release.catalogue import load_catalogue
from headrace.settings import Settings
from models.training.files import CANDIDATES, HOLDOUT_BUNDLE
from tests.models.planted_world import DAY, HOLDOUT_DAY, HOLDOUT_DAYS, World, microseconds

TRAINING = {
    "holdout_days": HOLDOUT_DAYS,
    "embedding_size": 16,
    "retrieval_batch_size": 256,
    "retrieval_learning_rate": 0.2,
    "retrieval_epochs": 6,
    "retrieval_temperature": 1.0,
    "id_dropout": 0.1,
    "word_buckets": 64,
    "ranker_batch_size": 4000,
    "ranker_least_steps": 30,  # of 240 lists: more learn them by heart
}


@dataclass(frozen=True)
class Trained:
    """The world and what training made of it."""

    world: World
    settings: Settings
    folder: Path

    @property
    def test_events(self) -> Path:
        """What happened after the last day."""
        return self.folder / "later.parquet"


def settings_in(home: Path, **training: object) -> Settings:
    """Settings of a small training; the registry is a file of its own."""
    return Settings(
        home=home,
        training={**TRAINING, **training},
        mlflow={"tracking_uri": f"sqlite:///{home / 'mlflow.db'}"},
    )


@pytest.fixture(scope="session")
def retrieval(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Both retrieval bundles of the planted world."""
    from models.train_retrieval import train_retrieval

    home = tmp_path_factory.mktemp("planted")
    world, settings = World(), settings_in(home)
    world.write(Path(settings.lake_root))
    folder = train_retrieval(settings, DAY)
    world.write_test_events(folder / "later.parquet")
    return Trained(world, settings, folder)


@pytest.fixture(scope="session")
def ranker(retrieval: Trained) -> Trained:
    """The same with a ranker, trained on candidates of this holdout and of the one before."""
    from models.train_ranker import train_ranker
    from models.train_retrieval import train_earlier_holdouts

    retrieval.world.write_earlier_holdout(Path(retrieval.settings.lake_root))
    train_earlier_holdouts(retrieval.settings, [HOLDOUT_DAY], quiet=True)
    for day in (DAY, HOLDOUT_DAY):
        write_candidates(retrieval, day)
    train_ranker(retrieval.settings, DAY)
    return retrieval


def write_candidates(trained: Trained, day: date) -> None:
    """The candidates file as serving writes it: own items and the tower's best."""
    folder = trained.settings.training_folder / str(day)
    release = open_release(folder / HOLDOUT_BUNDLE)
    catalogue = load_catalogue(release)
    tower = load_user_tower(release, catalogue.row_of)
    rows = []
    for name in sorted(trained.world.events):
        values = trained.world.ranking_example(name, day)
        user = user_row(values, name, microseconds(day - timedelta(days=HOLDOUT_DAYS)))
        own = own_item_features(user, catalogue)
        scores = catalogue.embeddings @ tower.vector(user)
        best = np.argsort(-scores)[:60].astype(np.int32)
        candidates = np.union1d(own.rows, best).astype(np.int32)
        sources = np.where(np.isin(candidates, own.rows), Source.OWN, 0) | np.where(
            np.isin(candidates, best), Source.TOWER, 0
        )
        features = ranking_features(user, own, catalogue, candidates, scores[candidates], sources.astype(np.int32))
        taken = dict(zip(values["target_items"], values["target_counts"], strict=True))
        rows.append(
            {
                "user_id": user.user_id,
                "item_rows": candidates,
                "numeric": features.numeric.reshape(-1),
                "categorical": features.categorical.reshape(-1),
                "labels": np.array([taken.get(catalogue.item_ids[row], 0.0) for row in candidates], np.float32),
            }
        )
    pq.write_table(pa.Table.from_pylist(rows), folder / CANDIDATES)
