"""Retrieval trained on a world with a known pattern: what it finds, and the bundles it leaves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from headrace.errors import BadInputError, ReleaseError
from headrace.features.user_row import HistoryEvent
from headrace.features.user_tower import load_user_tower
from headrace.release.bundle import open_release
from headrace.release.catalogue import load_catalogue
from models.train_retrieval import train_retrieval
from models.training.checkpoints import Checkpoints
from models.training.command import progress_bars
from models.training.gold import Lake
from models.training.workers import Worker
from models.two_tower.examples.inputs import read_inputs
from models.two_tower.training_phases import TrainingPhases
from tests.models.conftest import Trained, settings_in
from tests.models.planted_world import DAY, NEVER_BOUGHT, TASTES, World, microseconds

DAY_US = 86_400_000_000
SAVED_GRAPH = "user_tower/saved_model.pb"


def history_of_taste(taste: int) -> list[HistoryEvent]:
    """Twelve items of one taste."""
    return [HistoryEvent(day * DAY_US, f"e{day}", f"item-{taste}-{day}", "purchase") for day in range(12)]


def test_the_tower_finds_more_of_what_users_take_than_the_popular_list(retrieval: Trained):
    metrics = json.loads((retrieval.folder / "retrieval_metrics.json").read_text())
    assert metrics["recall_at_500_new"] > metrics["popularity_recall_at_500_new"]
    assert metrics["recall_at_500_all"] > metrics["popularity_recall_at_500_all"]


@pytest.mark.parametrize("taste", range(0, TASTES, 4))
def test_users_get_items_of_their_taste(retrieval: Trained, taste: int):
    release = open_release(retrieval.folder / "retrieval")
    catalogue = load_catalogue(release)
    vector = load_user_tower(release, catalogue.row_of).vectors([history_of_taste(taste)], [{}])[0]
    best = np.argsort(-(catalogue.embeddings @ vector))[:30]
    of_taste = [catalogue.item_ids[row].startswith(f"item-{taste}-") for row in best]
    assert np.mean(of_taste) > 0.8


def test_an_item_that_no_user_took_has_a_vector_near_its_own_kind(retrieval: Trained):
    catalogue = load_catalogue(open_release(retrieval.folder / "retrieval"))
    vectors = catalogue.embeddings[:, :-1]
    similarity = vectors @ vectors[catalogue.row_of[NEVER_BOUGHT]]
    same = [name.startswith("item-0-") for name in catalogue.item_ids]
    other = [name.startswith("item-5-") for name in catalogue.item_ids]
    assert similarity[same].mean() > similarity[other].mean() + 0.1


def test_onnx_and_saved_model_give_the_same_user_vectors(retrieval: Trained):
    import tensorflow as tf

    release = open_release(retrieval.folder / "retrieval")
    tower = load_user_tower(release, load_catalogue(release).row_of)
    users = [history_of_taste(0), history_of_taste(3)[:2], []]
    profiles = [{"age": "young"}, {"age": "unheard of"}, {}]
    onnx = tower.vectors(users, profiles)
    saved = tf.saved_model.load(str(release.path("user_tower"))).signatures["serving_default"]
    inputs = {name: tf.constant(array) for name, array in tower.encoder.encode(users, profiles).as_dict().items()}
    np.testing.assert_allclose(onnx, saved(**inputs)["user_vectors"].numpy(), atol=1e-5)
    assert onnx.shape == (3, 16)
    assert (onnx[:, -1] == 1).all()


def test_a_user_without_history_and_profile_gets_the_popular_items(retrieval: Trained):
    release = open_release(retrieval.folder / "retrieval")
    catalogue = load_catalogue(release)
    vector = load_user_tower(release, catalogue.row_of).vectors([[]], [{}])[0]
    np.testing.assert_allclose(catalogue.embeddings @ vector, catalogue.embeddings[:, -1], atol=1e-6)
    prior = catalogue.embeddings[:, -1]
    both = (catalogue.numbers["trend_popularity"] + 1) * (catalogue.numbers["popularity"] + 1)
    assert np.argmax(prior) == np.argmax(both)


def test_the_index_finds_what_brute_force_finds(retrieval: Trained):
    from scann.scann_ops.py import scann_ops_pybind

    release = open_release(retrieval.folder / "retrieval")
    catalogue = load_catalogue(release)
    vectors = load_user_tower(release, catalogue.row_of).vectors([history_of_taste(1)], [{}])
    rows, _ = scann_ops_pybind.load_searcher(str(release.path("scann").resolve())).search_batched(vectors, 50)
    assert set(rows[0]) == set(np.argsort(-(catalogue.embeddings @ vectors[0]))[:50])


def test_the_holdout_bundle_is_not_trained_on_the_holdout(retrieval: Trained):
    before = open_release(retrieval.folder / "retrieval_holdout")
    after = open_release(retrieval.folder / "retrieval")
    assert (after.manifest.as_of - before.manifest.as_of).days == 28
    assert list(load_catalogue(before).item_ids) == list(load_catalogue(after).item_ids)
    ever_before, ever_after = (load_catalogue(each).numbers["users_total"].sum() for each in (before, after))
    assert ever_before < ever_after
    assert after.manifest.tables.keys() >= {"gold/retrieval_examples", "gold/item_features", "silver/items"}


def test_popular_lists_are_sorted_by_recent_buyers(retrieval: Trained):
    catalogue = load_catalogue(open_release(retrieval.folder / "retrieval"))
    assert (np.diff(catalogue.numbers["popularity"][catalogue.popular[""]]) <= 0).all()
    of_category = catalogue.popular["taste 4"]
    assert {catalogue.value("category_1", row) for row in of_category} == {"taste 4"}


def test_a_flipped_byte_makes_the_bundle_unusable(retrieval: Trained, tmp_path: Path):
    import shutil

    copy = tmp_path / "bundle"
    shutil.copytree(retrieval.folder / "retrieval", copy)
    content = bytearray((copy / "item_embeddings.npy").read_bytes())
    content[-1] ^= 1
    (copy / "item_embeddings.npy").write_bytes(content)
    with pytest.raises(ReleaseError, match=r"'item_embeddings.npy' was changed"):
        open_release(copy)


def test_a_training_that_was_killed_resumes_and_ends_as_one_that_ran_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    world = World(users=36)
    settings = settings_in(tmp_path, retrieval_epochs=1, checkpoint_seconds=1e-9)
    world.write(Path(settings.lake_root))
    first = open_release(train_retrieval(settings, DAY) / "retrieval").manifest.files
    save = Checkpoints.save
    for phase, step in (("holdout", 2), ("final", 1)):

        def killed(
            self: Checkpoints, model: object, done: int, state: object, phase: str = phase, step: int = step
        ) -> None:
            save(self, model, done, state)
            if self.folder.name == phase and done == step:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Checkpoints, "save", killed)
            train_retrieval(settings, DAY)
    capsys.readouterr()
    second = open_release(train_retrieval(settings, DAY) / "retrieval").manifest.files
    assert "final: resumes after step 1" in capsys.readouterr().out
    # Within one process TensorFlow numbers the parts of its graphs on; two processes give the same ones.
    assert {name for name in first if first[name] != second[name]} <= {"user_tower.onnx", SAVED_GRAPH}
    assert not (settings.training_folder / str(DAY) / "checkpoints").exists()


def test_training_stops_when_recall_grows_no_more_and_keeps_its_best_weights(tmp_path: Path):
    settings = settings_in(tmp_path, retrieval_epochs=40, retrieval_patience=3)
    World(users=120).write(Path(settings.lake_root))
    looks: list[float] = []
    with progress_bars() as progress:
        inputs = read_inputs(settings, DAY, progress)
        phases = TrainingPhases(inputs, settings.training, Worker(), progress)
        report = phases.up_to_the_holdout(lambda recall, *_: looks.append(recall))
    assert report.epochs < 40
    assert looks.index(max(looks)) == len(looks) - 4
    assert phases.measure().recall_new == pytest.approx(max(looks), abs=1e-6)


@pytest.mark.parametrize("reorders", [False, True])
def test_at_last_the_newest_is_learned_or_where_nothing_is_newer_everything(tmp_path: Path, reorders: bool):
    settings = settings_in(tmp_path, retrieval_epochs=2, retrieval_reorders=reorders)
    World(users=60).write(Path(settings.lake_root))
    with progress_bars() as progress:
        inputs = read_inputs(settings, DAY, progress)
        phases = TrainingPhases(inputs, settings.training, Worker(), progress)
        first = phases.up_to_the_holdout()
        last = phases.over_the_holdout(first.epochs)
    older, newest = inputs.seen.examples.values()
    assert first.epochs == 2
    assert last.examples == pytest.approx(older + newest if reorders else 2 * newest, rel=0.1)


@pytest.mark.parametrize(
    "setting", [{"popularity_correction": True}, {"retrieval_negatives": "catalogue", "retrieval_learning_rate": 0.01}]
)
def test_what_happens_in_the_holdout_changes_nothing_before_it(tmp_path: Path, setting: dict[str, object]):
    def vectors(holdouts_items: bool) -> np.ndarray:
        world, settings = World(users=24), settings_in(tmp_path / str(holdouts_items), retrieval_epochs=1, **setting)
        if holdouts_items:  # one user takes the items in the holdout many times more
            user = next(iter(world.events))
            items = ("item-0-0", NEVER_BOUGHT)
            added = [(microseconds(DAY) - 1000 + n, f"more-{n}", items[n % 2]) for n in range(100)]
            world.events[user] = [*world.events[user], *added]
        world.write(Path(settings.lake_root))
        with progress_bars() as progress:
            phases = TrainingPhases(read_inputs(settings, DAY, progress), settings.training, Worker(), progress)
            phases.up_to_the_holdout()
        return phases.vectors(holdout=True)

    np.testing.assert_array_equal(vectors(holdouts_items=True), vectors(holdouts_items=False))


@pytest.mark.parametrize("tower", ["pooling", "attention"])
def test_users_have_the_same_vectors_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tower: str):
    settings = settings_in(tmp_path, user_tower=tower)
    World(users=20).write(Path(settings.lake_root))
    with progress_bars() as progress:
        inputs = read_inputs(settings, DAY, progress)
        phases = TrainingPhases(inputs, settings.training, Worker(), progress)
    phases._model.make_variables()
    vectors = np.random.default_rng(1).normal(size=(len(inputs.parts.item_ids) + 1, 15)).astype(np.float32)
    together = phases.user_function(vectors).vectors(inputs.holdout_users.inputs)
    monkeypatch.setattr("models.two_tower.vectors._USERS_AT_ONCE", 7)
    np.testing.assert_allclose(phases.user_function(vectors).vectors(inputs.holdout_users.inputs), together, atol=1e-5)
    assert together.shape == (20, 16)


def test_a_single_user_whose_ratings_are_all_alike_is_enough(tmp_path: Path):
    world = World(users=1, event_type="rating")
    settings = settings_in(tmp_path, retrieval_epochs=1)
    world.write(Path(settings.lake_root))
    release = open_release(train_retrieval(settings, DAY) / "retrieval")
    catalogue = load_catalogue(release)
    assert np.isfinite(catalogue.embeddings).all()
    taken = {item for events in world.events.values() for _, _, item in events}
    assert catalogue.item_ids[catalogue.popular[""][0]] in taken


def test_what_is_newer_than_the_release_changes_nothing_for_a_user(retrieval: Trained):
    release = open_release(retrieval.folder / "retrieval")
    tower = load_user_tower(release, load_catalogue(release).row_of)
    known = history_of_taste(2)
    newer = [HistoryEvent(0, "e", "an item of tomorrow", "a type of tomorrow"), *known]
    grown = tower.vectors([newer], [{"age": "unheard of", "region": "a new field"}])
    np.testing.assert_allclose(grown, tower.vectors([known], [{}]), atol=1e-6)


def test_a_checkpoint_of_other_data_or_settings_is_ignored(tmp_path: Path):
    import tensorflow as tf

    def model(weight: float) -> tf.keras.Model:
        made = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(1,))])
        made.compile(optimizer=tf.keras.optimizers.legacy.Adagrad(0.1))
        made.set_weights([np.full((1, 1), weight), np.zeros(1)])
        return made

    Checkpoints(tmp_path, {"tables": {"gold": 1}}, 1).save(model(7.0), 1, {"losses": [0.5]})
    other, same = model(1.0), model(1.0)
    assert Checkpoints(tmp_path, {"tables": {"gold": 2}}, 1).restore(other) == {}
    assert Checkpoints(tmp_path, {"tables": {"gold": 1}}, 1).restore(same) == {"losses": [0.5]}
    assert [float(each.get_weights()[0][0, 0]) for each in (other, same)] == [1.0, 7.0]


def test_a_world_without_repeated_events_is_refused_with_a_reason(tmp_path: Path):
    world = World(users=4)
    for user in world.events:
        world.events[user] = world.events[user][:1]
    settings = settings_in(tmp_path)
    world.write(Path(settings.lake_root))
    with pytest.raises(BadInputError, match="none of them has two events"):
        train_retrieval(settings, DAY)


def test_a_missing_table_is_named_with_the_job_that_makes_it(tmp_path: Path):
    with pytest.raises(BadInputError, match=r"table silver/\w+ is not in"):
        train_retrieval(settings_in(tmp_path), DAY)


def test_one_training_sees_one_version_of_each_table(retrieval: Trained):
    from headrace.tables import SILVER_ITEMS

    lake = Lake(retrieval.settings.lake_root)
    first = lake.read(SILVER_ITEMS)
    lake.versions[SILVER_ITEMS.path] = 0
    assert lake.read(SILVER_ITEMS).equals(first)
