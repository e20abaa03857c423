from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from headrace.features.own_items import own_item_features
from headrace.features.ranking import Source
from headrace.features.user_row import UserRow
from headrace.release.catalogue import SURPRISE, Catalogue
from serving.pipeline.candidates import Candidates, CandidateSources, Mix
from serving.pipeline.index import VectorIndex, open_index
from serving.pipeline.recommender import Recommender
from tests.serving.conftest import buyer

ANNA = buyer("anna", {"item-7": 3, "item-800": 1})
HOARDER = buyer("hoarder", {f"item-{number}": 1 + number % 4 for number in range(200, 600)})


def found(recommender: Recommender, user: UserRow, number: int = 500, excluded: Iterable[int] = ()) -> Candidates:
    own = own_item_features(user, recommender.catalogue)
    rows = np.array(list(excluded), np.int32)
    return recommender.sources.for_user(own, recommender.tower.vector(user), number, rows)


@pytest.mark.parametrize("user", [ANNA, HOARDER])
@pytest.mark.parametrize("number", [20, 500, 900])
def test_candidates_are_distinct_and_as_many_as_asked_for(recommender: Recommender, user: UserRow, number: int) -> None:
    rows = found(recommender, user, number).rows
    assert len(rows) == len(set(rows.tolist())) == number


def test_a_small_catalogue_gives_all_it_has(recommender: Recommender) -> None:
    assert sorted(found(recommender, ANNA, 5000).rows) == list(range(900))


def test_own_items_come_first_and_no_more_than_their_share_best_first(recommender: Recommender) -> None:
    candidates = found(recommender, HOARDER)
    own = candidates.rows[(candidates.sources & Source.OWN) > 0]
    assert len(own) == Mix().own
    assert all(row % 4 in (2, 3) for row in own[:200])  # those bought three and four times
    assert candidates.rows[: Mix().own].tolist() == own.tolist()


def test_every_source_is_named_on_the_candidates_it_gave(recommender: Recommender) -> None:
    candidates = found(recommender, ANNA)
    sources = dict(zip(candidates.rows.tolist(), candidates.sources.tolist(), strict=True))
    assert sources[7] & Source.OWN
    assert sources[0] & Source.POPULAR
    assert sources[1] & Source.CATEGORY  # item-1 leads DRUG GM, anna's category by item-7
    assert not sources[2] & Source.CATEGORY or 800 % 3 == 2
    assert sources[450] & Source.NEIGHBOURS  # of item-7
    assert sum((bits & Source.NEIGHBOURS) > 0 for bits in sources.values()) == 1
    nearest = recommender.sources._nearest(recommender.tower.vector(ANNA), 300, 0, ~recommender.catalogue.available)
    assert all(sources[row] & Source.TOWER for row in nearest.tolist() if row in sources)


def test_what_is_taken_more_than_before_is_a_candidate_where_it_is_asked_for(recommender: Recommender) -> None:
    assert not len(recommender.catalogue.trending)
    surprise = np.full(900, -0.5, np.float32)
    surprise[[640, 641]] = [2.5, 6]
    catalogue = replace(recommender.catalogue, numbers={**recommender.catalogue.numbers, SURPRISE: surprise})
    assert catalogue.trending.tolist() == [641, 640]
    index = open_index(recommender.release)
    own, vector = own_item_features(ANNA, catalogue), recommender.tower.vector(ANNA)
    for mix, expected in ((Mix(trending=1), [641]), (Mix(), [])):
        candidates = CandidateSources(catalogue, index, mix).for_user(own, vector, 500)
        assert candidates.rows[(candidates.sources & Source.TRENDING) > 0].tolist() == expected


def test_excluded_items_are_out_of_every_source_and_the_number_stays(recommender: Recommender) -> None:
    excluded = [7, 800, *range(60)]
    candidates = found(recommender, ANNA, 500, excluded)
    assert not set(excluded) & set(candidates.rows.tolist())
    assert len(set(candidates.rows.tolist())) == 500


def test_what_goes_with_an_own_item_is_no_candidate_where_it_is_refused_or_owned(recommender: Recommender) -> None:
    assert 450 not in found(recommender, ANNA, 500, [450]).rows
    both = buyer("both", {"item-7": 1, "item-450": 1})
    candidates = found(recommender, both)
    assert not (candidates.sources[candidates.rows == 450] & Source.NEIGHBOURS).any()


def test_items_that_are_not_available_are_never_candidates(recommender: Recommender) -> None:
    catalogue: Catalogue = replace(recommender.catalogue, available=np.arange(900) % 2 == 0)
    index: VectorIndex = open_index(recommender.release)
    sources = CandidateSources(catalogue, index)
    own = own_item_features(ANNA, catalogue)
    rows = sources.for_user(own, recommender.tower.vector(ANNA), 400).rows
    assert len(rows) == 400
    assert not (rows % 2).any()
    assert not (sources.popular(100) % 2).any()


def test_related_items_never_name_the_item_itself(recommender: Recommender) -> None:
    query = recommender.catalogue.embeddings[33]
    rows = recommender.sources.related(query, 500, 33).rows
    assert 33 not in rows
    assert len(set(rows.tolist())) == 500


def test_fewer_candidates_come_from_all_sources_in_the_same_proportions(recommender: Recommender) -> None:
    sources = recommender.sources
    own, vector = own_item_features(HOARDER, recommender.catalogue), recommender.tower.vector(HOARDER)
    few = sources.for_user(own, vector, 150, None, sources.mix.scaled(0.3))
    many = sources.for_user(own, vector, 500)
    assert (len(few), len(many)) == (150, 500)
    for source in (Source.OWN, Source.POPULAR, Source.CATEGORY, Source.TOWER):
        assert np.count_nonzero(many.sources & source), source
        assert np.count_nonzero(few.sources & source), source
    assert np.count_nonzero(few.sources & Source.OWN) < 150
