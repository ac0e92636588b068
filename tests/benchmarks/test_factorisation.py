"""What the comparison with other factorisations does to their answers, on answers of our own."""

import numpy as np
import pytest
from benchmarks.cases import factorisation
from benchmarks.peers import implicit
from benchmarks.peers.peer import Peer, PeerError
from tests.recommend.test_als import tastes

from ethogram.log import Candidates
from ethogram.numeric.factors import matrix
from ethogram.numeric.known import Known
from ethogram.system import system


def test_their_vectors_and_rows_score_as_ours_do():
    log = tastes()
    histories, every = log.histories(), Candidates.every(log.vocabulary("item"))
    known = Known.of(log)
    als = system("als", factors=4).fit(log)
    theirs = factorisation._Peer(known, {"users": als.fitted.model.users, "items": als.fitted.model.vectors})
    assert np.array_equal(theirs.score(histories, every), als.score(histories, every))
    knn = system("item_knn", neighbours=5).fit(log)
    rows = knn.fitted.rows
    learned = {"offsets": rows.offsets, "columns": rows.codes, "weights": rows.weights}
    theirs = factorisation._Peer(known, learned)
    np.testing.assert_allclose(theirs.score(histories, every), knn.score(histories, every), rtol=1e-5, atol=1e-6)


def test_users_are_put_in_their_order():
    assert factorisation._order(["a", "b", "c"], ["c", "a", "b"]).tolist() == [2, 0, 1]


def test_both_ways_of_serving_are_told():
    built = system("als", factors=4).fit(tastes())
    both = factorisation._both(built)
    assert list(both) == ["trained", "folded in"]
    assert both["folded in"].fold_in == "always"
    assert list(factorisation._both(system("popularity").fit(tastes()))) == [""]


def test_a_peer_that_is_not_installed_says_so(monkeypatch):
    monkeypatch.setattr(implicit, "PEER", Peer("nowhere", "benchmarks.peers.implicit_inside", {}))
    pairs = matrix(tastes().histories(), Known.of(tastes()))
    with pytest.raises(PeerError, match="make peers"):
        implicit.ask("als", pairs, {}, k=5, filtered=True)
