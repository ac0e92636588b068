"""The index finds what a full search finds, in blocks or at once, and forgets."""

import numpy as np
import pytest
from scipy import sparse

from ethogram.errors import OptionError
from ethogram.numeric.postings import Postings

WIDTH, DAY = 300, 10.0


def drawn(n, rng):
    return sparse.random(n, WIDTH, 0.03, "csr", rng=rng, data_rvs=lambda m: rng.uniform(0.1, 1, m))


def plain(held, clock, asked, before, fade, k):
    """Scores of every row by the equation, best k."""
    product = np.asarray((asked @ held.T).todense())
    age = before[:, None] - clock[None, :]
    score = np.where(age > 0, product - fade * np.log1p(np.maximum(age, 0) / DAY), -np.inf)
    order = np.argsort(-score, 1, kind="stable")[:, :k]
    return order, np.take_along_axis(score, order, 1)


@pytest.mark.parametrize("fade", [0.0, 0.3])
def test_it_finds_what_a_full_search_finds(fade):
    rng = np.random.default_rng(0)
    held, asked = drawn(700, rng), drawn(25, rng)
    clock, before = rng.integers(0, 1_000, 700), rng.integers(100, 1_200, 25)
    index = Postings(WIDTH)
    for at in (*range(0, 640, 80), 640, 650, 699):
        stop = {640: 650, 650: 699, 699: 700}.get(at, at + 80)
        index.add(held[at:stop], clock[at:stop])
    assert len(index) == 700
    assert len(index._blocks) <= 5
    places, scores, products = index.search(asked, 40, before, fade, DAY)
    _, expected = plain(held, clock, asked, before, fade, 40)
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    exact = np.asarray((asked @ held.T).todense())
    for q in range(25):
        mine = places[q][places[q] >= 0]
        assert (clock[mine] < before[q]).all()
        np.testing.assert_allclose(products[q][: len(mine)], exact[q, mine], atol=1e-6)
    again = index.search(asked, 40, before, fade, DAY)
    assert all((a == b).all() for a, b in zip((places, scores, products), again, strict=True))


def test_rows_that_share_nothing_are_found_by_their_age():
    index = Postings(2)
    index.add(sparse.csr_matrix([[0.0, 1], [0, 1], [0, 1], [1, 0]]), np.array([5, 3, 9, 1]))
    asked = sparse.csr_matrix([[1.0, 0]])
    assert index.search(asked, 4, np.array([8]), 0.1, 1.0)[0].tolist() == [[3, 0, 1, -1]]
    assert index.search(asked, 3, np.array([8]), 1.0, 1.0)[0].tolist() == [[3, 0, 1]]
    # 1 - 5 ln 8 lies below -5 ln 4: the newest leads
    assert index.search(asked, 2, np.array([8]), 5.0, 1.0)[0].tolist() == [[0, 1]]
    assert index.search(asked, 2, np.array([1]))[0].tolist() == [[-1, -1]]


def test_it_forgets():
    rng = np.random.default_rng(1)
    held = drawn(60, rng)
    index = Postings(WIDTH)
    index.add(held[:40], np.zeros(40, np.int64))
    index.add(held[40:], np.zeros(20, np.int64))
    first = index.search(held[[50]], 1, np.array([1]))[0][0, 0]
    assert first == 50
    index.remove(np.array([50]))
    assert 50 not in index.search(held[[50]], 60, np.array([1]))[0]
    assert all((block.data[start + block.indices == 50] == 0).all() for start, block in index._blocks)


def test_bad_input_is_refused():
    index = Postings(2)
    for rows, clock in (([[1.0, 0, 0]], [1]), ([[1.0, 0]], [1, 2]), ([[-1.0, 0]], [1])):
        with pytest.raises(OptionError, match="postings"):
            index.add(sparse.csr_matrix(rows), np.array(clock))
    with pytest.raises(OptionError, match="k = 0"):
        index.search(sparse.csr_matrix([[1.0, 0]]), 0, np.array([1]))
    with pytest.raises(OptionError, match="width = 0"):
        Postings(0)
    assert index.search(sparse.csr_matrix([[1.0, 0]]), 2, np.array([1]))[0].tolist() == [[-1, -1]]
