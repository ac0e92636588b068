from __future__ import annotations

import itertools

import numpy as np
from scipy import stats

from ethogram.data.negatives import draw


def lists(place: np.ndarray, of: np.ndarray, n: int) -> list[list[int]]:
    return [place[of == i].tolist() for i in range(n)]


def test_every_subset_of_the_free_places_is_equally_likely():
    n, taken = 30_000, [1, 4]
    uniform = np.random.default_rng(5).random((n, 2))
    place, of = draw(np.full(n, 7), np.tile(taken, n), np.repeat(np.arange(n), 2), uniform)
    seen = place.reshape(n, 2)
    assert (of.reshape(n, 2) == np.arange(n)[:, None]).all()
    subsets = list(itertools.combinations([0, 2, 3, 5, 6], 2))
    counts = [((seen[:, 0] == a) & (seen[:, 1] == b)).sum() for a, b in subsets]
    assert sum(counts) == n
    assert stats.chisquare(counts).pvalue > 0.001


def test_lists_of_all_sizes_give_distinct_free_places_in_order():
    random = np.random.default_rng(1)
    n, k = 400, 9
    listed = random.integers(0, 30, n)
    bought = [np.sort(random.permutation(m)[: random.integers(0, m + 1)]) for m in listed]
    owner = np.repeat(np.arange(n), [len(b) for b in bought])
    place, of = draw(listed, np.concatenate(bought), owner, random.random((n, k)))
    for i, found in enumerate(lists(place, of, n)):
        free = set(range(listed[i])) - set(bought[i].tolist())
        assert len(found) == min(k, len(free))
        assert found == sorted(set(found))
        assert set(found) <= free


def test_more_asked_than_free_takes_all_that_are_free():
    place, of = draw(np.array([4, 3]), np.array([0, 2, 0, 1, 2]), np.array([0, 0, 1, 1, 1]), np.full((2, 5), 0.999_999))
    assert lists(place, of, 2) == [[1, 3], []]


def test_a_list_is_drawn_from_its_own_numbers_only():
    random = np.random.default_rng(3)
    listed, uniform, none = np.array([50, 80, 60]), random.random((3, 4)), np.zeros(0, np.int64)
    together = lists(*draw(listed, none, none, uniform), 3)
    alone = [lists(*draw(listed[[i]], none, none, uniform[[i]]), 1)[0] for i in range(3)]
    assert together == alone
