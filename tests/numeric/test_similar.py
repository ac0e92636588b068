"""Items that are like an item: cosines by hand, weights as they stand, ties, and what has no answer."""

import numpy as np
import pytest
from tests.recommend.test_als import tastes

from ethogram.errors import OptionError, UnknownName
from ethogram.log import Candidates
from ethogram.numeric.known import Known
from ethogram.numeric.similar import cosines, similar
from ethogram.system import system


@pytest.fixture(scope="module")
def known():
    return Known.of(tastes(users=8, items=6, events=12))


def test_cosines_by_hand(known):
    vectors = np.float32([[1, 0], [3, 4], [0, 2], [0, 0], [-1, 0], [1, 1]])
    found = similar(known, cosines(vectors), [501], 9, None).to_pylist()
    # item 503 has no direction; the others by cos(3/5, 4/5)
    expected = [(505, 7 / 50**0.5), (502, 0.8), (500, 0.6), (504, -0.6)]
    assert [r["item"] for r in found] == [i for i, _ in expected]
    np.testing.assert_allclose([r["similarity"] for r in found], [s for _, s in expected], rtol=1e-6)
    assert similar(known, cosines(vectors), [503], 9, None).num_rows == 0
    few = similar(known, cosines(vectors), [501, 500], 1, Candidates.of([504, 500, 77])).to_pylist()
    assert [(r["query"], r["item"]) for r in few] == [(501, 500), (500, 504)]


def test_weights_of_a_neighbourhood_are_those_between_the_items():
    log = tastes()
    built = system("item_knn").fit(log)
    codes = built.fitted.known.items.encode([500, 502])
    (first,) = built.similar_items([500], 1).to_pylist()
    assert first["similarity"] == pytest.approx(
        built.fitted.rows.between(codes[:1], built.fitted.known.items.encode([first["item"]]))[0]
    )
    every = {r["item"]: r["similarity"] for r in built.similar_items([500], 99).to_pylist()}
    assert every[502] == pytest.approx(built.fitted.rows.between(codes[:1], codes[1:])[0])
    assert first["item"] % 2 == 0


def test_what_has_no_answer(known):
    rows = cosines(np.eye(6, dtype=np.float32))
    with pytest.raises(UnknownName, match=r"never met item 9 \(nor 1 others\)"):
        similar(known, rows, [500, 9, 8], 3, None)
    with pytest.raises(OptionError, match="k = 0"):
        similar(known, rows, [500], 0, None)
    with pytest.raises(OptionError, match="one list for all"):
        similar(known, rows, [500], 1, Candidates.of([[500], [501, 502]]))
    assert similar(known, rows, [], 1, None).num_rows == 0
