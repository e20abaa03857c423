from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from headrace.errors import ReleaseError
from headrace.features.online_store import LiveRow
from headrace.features.own_items import own_item_features
from headrace.features.user_row import HistoryEvent, UserRow, profile_fingerprint
from headrace.release.bundle import EVALUATION, RANKER, RANKER_INT8, RANKER_SCHEMA, seal_release
from headrace.settings import Settings
from serving.pipeline.candidates import Mix
from serving.pipeline.recommender import Recommender, load_recommender
from serving.pipeline.reranking import cap_per_category
from tests.serving.conftest import AS_OF, HOUR, ITEMS, buyer
from tests.small_release import AS_OF as RELEASE_AS_OF
from tests.small_release import linear_ranker, tiny_full_release

SEALING: dict[str, Any] = {
    "as_of": RELEASE_AS_OF,
    "code_version": "test",
    "seed": 1,
    "tables": {},
    "settings": {"features": Settings().features.model_dump()},
}
ANNA = buyer("anna", {"item-7": 3, "item-50": 1})


def live_row(user: UserRow, events: list[HistoryEvent], release: str, vector: np.ndarray) -> LiveRow:
    fingerprint = profile_fingerprint(user.profile)
    return LiveRow(release, vector, [*user.history, *events], events[-1].timestamp, len(events), AS_OF, fingerprint)


def test_a_list_has_its_full_length_of_distinct_items_best_score_first(recommender: Recommender) -> None:
    ranked, _ = recommender.for_user(ANNA, recommender.tower.vector(ANNA), 20)
    assert len(set(ranked.rows.tolist())) == 20
    assert ranked.candidates_generated == 500
    assert (np.diff(ranked.scores) <= 0).all()
    assert recommender.catalogue.item_ids[ranked.rows[0]] == "item-7"


def test_where_all_items_are_excluded_the_list_is_empty(recommender: Recommender) -> None:
    every = np.arange(len(ITEMS), dtype=np.int32)
    ranked, _ = recommender.for_user(ANNA, recommender.tower.vector(ANNA), 20, excluded=every)
    assert ranked.candidates_generated == len(ranked.rows) == len(ranked.scores) == 0


def test_a_live_event_changes_the_list_and_moves_the_clock_to_its_own_time(recommender: Recommender) -> None:
    viewed = HistoryEvent(AS_OF + HOUR, "live-1", "item-640", "view")
    user = recommender.up_to_date(ANNA, live_row(ANNA, [viewed], "another release", np.zeros(8, np.float32)))
    assert user.as_of == AS_OF + HOUR
    before, _ = recommender.for_user(ANNA, recommender.tower.vector(ANNA), 20)
    after, _ = recommender.for_user(user, recommender.tower.vector(user), 20)
    assert 640 not in before.rows
    assert 640 in after.rows


def test_a_live_vector_counts_only_if_this_release_made_it_of_this_history_and_profile(
    recommender: Recommender,
) -> None:
    viewed = [HistoryEvent(AS_OF + HOUR, "live-1", "item-640", "view")]
    mark = np.full(8, 9.0, np.float32)
    own = live_row(ANNA, viewed, recommender.release.release_id, mark)
    user = recommender.up_to_date(ANNA, own)
    np.testing.assert_array_equal(recommender.user_vector(user, own), mark)
    fresh = recommender.tower.vector(user)
    foreign = replace(own, release="another release")
    np.testing.assert_array_equal(recommender.user_vector(user, foreign), fresh)
    shorter = replace(own, history=own.history[1:])
    np.testing.assert_array_equal(recommender.user_vector(user, shorter), fresh)
    older = replace(user, profile={"age": "35-44"})
    assert not np.array_equal(recommender.user_vector(older, own), mark)


def test_a_user_nobody_knows_gets_the_popular_list_in_full(recommender: Recommender) -> None:
    ranked = recommender.popular(20)
    assert ranked.rows.tolist() == list(range(20))
    assert ranked.candidates_generated == 500


def test_related_items_are_led_by_similarity(recommender: Recommender) -> None:
    ranked = recommender.related(ANNA, 100, 20)
    vectors = recommender.catalogue.embeddings[:, :-1]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit[100]
    assert 100 not in ranked.rows
    assert cosines[ranked.rows].min() > np.median(cosines[cosines.argsort()[-60:]])


def test_the_same_user_gets_the_same_list_again(recommender: Recommender) -> None:
    vector = recommender.tower.vector(ANNA)
    first, _ = recommender.for_user(ANNA, vector, 50)
    second, _ = recommender.for_user(ANNA, vector, 50)
    np.testing.assert_array_equal(first.rows, second.rows)


def test_a_capped_category_makes_room_without_losing_an_item() -> None:
    order = np.array([4, 0, 1, 2, 3, 5])
    categories = np.array([1, 1, 1, 2, 0, 0], np.int32)
    assert cap_per_category(order, categories, 2).tolist() == [4, 0, 1, 3, 5, 2]
    assert cap_per_category(order, categories, 0).tolist() == order.tolist()


def test_a_release_says_how_many_trending_items_are_candidates(tmp_path: Path) -> None:
    folder = tiny_full_release(tmp_path / "full", items=ITEMS[:30]).folder
    training = Settings().training.model_copy(update={"trending_candidates": 7}).model_dump(mode="json")
    seal_release(folder, stage="full", **{**SEALING, "settings": {**SEALING["settings"], "training": training}})
    assert load_recommender(folder, 500).sources.mix == replace(Mix(), trending=7)


def test_a_ranker_trained_on_other_features_is_refused(tmp_path: Path) -> None:
    folder = tiny_full_release(tmp_path / "full", items=ITEMS[:30]).folder
    schema = folder / RANKER_SCHEMA
    schema.write_text(schema.read_text().replace('"own_share"', '"own_part"'))
    seal_release(folder, stage="full", **SEALING)
    with pytest.raises(ReleaseError, match="other numeric features"):
        load_recommender(folder, 500)


def test_the_int8_ranker_is_served_where_it_is_asked_for_and_its_absence_is_named(tmp_path: Path) -> None:
    folder = tiny_full_release(tmp_path / "full", items=ITEMS[:30]).folder
    with pytest.raises(ReleaseError, match=r"has no int8 ranker.*ranker_precision to float"):
        load_recommender(folder, 500, precision="int8")
    onnx.save_model(linear_ranker({"popularity": -1.0}), str(folder / RANKER_INT8))
    seal_release(folder, stage="full", **SEALING)
    vector = np.zeros(8, np.float32)
    best = [load_recommender(folder, 30, 0, each).for_user(ANNA, vector, 1)[0].rows[0] for each in ("float", "int8")]
    assert best[0] != best[1]


def test_a_release_without_ranker_gives_candidates_and_refuses_to_serve(tmp_path: Path) -> None:
    folder = tiny_full_release(tmp_path / "bundle", items=ITEMS[:30]).folder
    for name in (RANKER, RANKER_SCHEMA, EVALUATION):
        (folder / name).unlink()
    seal_release(folder, stage="retrieval", **SEALING)
    bare = load_recommender(folder, 20)
    candidates, _ = bare.candidates_of(ANNA, own_item_features(ANNA, bare.catalogue), bare.tower.vector(ANNA), 20)
    assert len(candidates) == 20
    with pytest.raises(ReleaseError, match="it has no ranker"):
        bare.warm()
