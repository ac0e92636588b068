"""Questions about trips: who competes, and floors that know the destination."""

import numpy as np
import pytest

from ethogram import data
from ethogram.claims.recommend.towns import InTown, MatchedPopularity, trips
from ethogram.evaluate import evaluate

WORLD = {"users": 80, "homes": 4, "kinds": 2, "places": 12, "common": 8, "towns": 2}


@pytest.fixture(scope="module")
def cut():
    return trips(data.load("travellers", **WORLD), least=2)


def towns(cut):
    items = cut.train.tables["items"]
    told = dict(zip(items["item"].to_pylist(), items["town"].to_pylist(), strict=True))
    return np.array([told[i] for i in cut.train.vocabulary("item").ids.to_pylist()])


def test_places_that_travellers_of_training_visited_compete(cut):
    visits = cut.train.where("kind == 'trip'").table()["item"].to_pylist()
    ids = cut.train.vocabulary("item").decode(cut.log.codes).to_pylist()
    assert sorted(ids) == sorted(i for i in set(visits) if visits.count(i) >= 2)
    assert set(towns(cut)[cut.log.codes]) == {"town 1", "town 2"}


def test_only_the_destination_is_ranked(cut):
    built = InTown(system="popularity", on="trip").fit(cut.train)
    asked = cut.test.questions("next")
    from ethogram.log import Candidates

    offered = Candidates(cut.log.codes, asked.candidates.vocabulary, shared=True)
    scores = built.score(asked.histories, offered)
    users = cut.train.tables["users"]
    going = dict(zip(users["user"].to_pylist(), users["destination"].to_pylist(), strict=True))
    mine = [going[u] for u in asked.histories.vocabularies["user"].decode(asked.histories.users).to_pylist()]
    np.testing.assert_array_equal(np.isfinite(scores), towns(cut)[cut.log.codes][None] == np.array(mine)[:, None])
    found = evaluate(built, cut, ks=(10,), exclude_seen=False, bootstrap=2)
    assert found.facts["items"] == len(cut.log.codes)
    assert 0 < found.metrics["recall@10"] < 1


def test_popularity_by_category_follows_home(cut):
    built = MatchedPopularity(strength=1.0).fit(cut.train)
    asked = cut.test.questions("next")
    from ethogram.log import Candidates

    vocabulary = asked.candidates.vocabulary
    codes = cut.log.codes
    scores = built.score(asked.histories, Candidates(codes, vocabulary, shared=True))
    items = cut.train.tables["items"]
    category = dict(zip(items["item"].to_pylist(), items["category"].to_pylist(), strict=True))
    home = [category[i] for i in cut.train.where("kind == 'home'").table()["item"].to_pylist()]
    visits = cut.train.where("kind == 'trip'").table()["item"].to_pylist()
    own, kinds = [category[i] for i in asked.histories.item_ids(0)], sorted(set(category.values()))
    total = len(home) + 0.5 * len(kinds)
    for c in np.flatnonzero(np.isfinite(scores[0]))[:5]:
        place = vocabulary.decode([codes[c]])[0].as_py()
        q = (home.count(category[place]) + 0.5) / total
        m = own.count(category[place])
        expected = np.log(visits.count(place) + 0.5) + np.log((m + q) / (len(own) + 1) / q)
        assert scores[0, c] == pytest.approx(expected)
