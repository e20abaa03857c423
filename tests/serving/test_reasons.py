from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headrace.features.own_items import own_item_features
from headrace.features.ranking import Source
from headrace.features.user_row import HistoryEvent, UserRow, with_live_events
from serving.pipeline.reasons import Reasons
from serving.pipeline.recommender import Recommender
from tests.serving.conftest import AS_OF, HOUR, buyer

ANNA = buyer("anna", {"item-7": 3, "item-50": 1})


def reason(recommender: Recommender, user: UserRow, row: int, source: int = 0, only: str | None = "purchase") -> str:
    kinds = [only] if only else ["purchase", "view"]
    catalogue = recommender.catalogue
    catalogue = replace(catalogue, vocabularies={**catalogue.vocabularies, "event_types": kinds})
    own = own_item_features(user, catalogue)
    rows, sources = np.array([row], np.int32), np.array([source], np.int32)
    return Reasons(catalogue, 28).for_user(user, own, rows, sources)[0]


def test_own_items_say_how_often_they_were_bought(recommender: Recommender) -> None:
    assert reason(recommender, ANNA, 7) == "You bought this 3 times"
    assert reason(recommender, ANNA, 50) == "You bought this before"


def test_a_view_in_this_session_is_called_a_view(recommender: Recommender) -> None:
    viewed = HistoryEvent(AS_OF + HOUR, "live", "item-640", "view")
    user = with_live_events(ANNA, [viewed], 84.0, 50)
    assert reason(recommender, user, 640) == "You viewed this"


def test_a_view_of_an_item_bought_before_does_not_count_as_a_purchase(recommender: Recommender) -> None:
    viewed = HistoryEvent(AS_OF + HOUR, "live", "item-7", "view")
    user = with_live_events(ANNA, [viewed], 84.0, 50)
    assert user.own.counts[0] == 4
    assert reason(recommender, user, 7) == "You viewed this, and bought it 3 times"


def test_without_proof_of_its_kind_an_old_event_is_not_called_a_purchase(recommender: Recommender) -> None:
    forgotten = replace(ANNA, history=[event for event in ANNA.history if event.item_id != "item-7"])
    assert reason(recommender, forgotten, 7, only=None) == "In your history 3 times"
    assert reason(recommender, forgotten, 7) == "You bought this 3 times"


def test_a_near_item_names_the_nearest_of_the_history_by_its_title(recommender: Recommender) -> None:
    vectors = recommender.catalogue.embeddings[:, :-1]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit[[7, 50]].T
    near_7 = int(np.argsort(-cosines[:, 0])[1])
    assert reason(recommender, ANNA, near_7, Source.TOWER) == "Because you bought Title of item-7"
    far = int(np.argmin(cosines.max(axis=1)))
    assert cosines[far].max() < 0
    assert reason(recommender, ANNA, far, Source.TOWER | Source.POPULAR) == "Popular this month"


def test_an_item_that_goes_with_an_own_one_names_it(recommender: Recommender) -> None:
    assert reason(recommender, ANNA, 450, Source.NEIGHBOURS) == "Because you bought Title of item-7"
    forgotten = replace(ANNA, history=[event for event in ANNA.history if event.item_id != "item-7"])
    assert reason(recommender, forgotten, 450, Source.NEIGHBOURS | Source.POPULAR) == "Popular this month"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (Source.CATEGORY | Source.POPULAR, "Popular in MEAT"),
        (Source.POPULAR, "Popular this month"),
        (Source.TRENDING | Source.POPULAR, "Trending now"),
        (0, "From the catalogue"),
    ],
)
def test_the_other_sources_say_what_they_are(recommender: Recommender, source: int, sentence: str) -> None:
    assert reason(recommender, ANNA, 2, source) == sentence
